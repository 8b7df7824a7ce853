//! The name of an output column without AS: PostgreSQL's (`FigureColname`).

use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, TrimWhereField};

use crate::statements::identifier;
use crate::types;

/// The name.
pub(crate) fn column_name(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "?column?".to_string(), |(name, _)| name)
}

/// A name, and whether it is a strong one (of a column or function) rather than one of a cast or CASE.
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_string(), true));
    match expr {
        Expr::Identifier(ident) => Some((identifier(ident), true)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| (identifier(ident), true)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(function) => {
            let last = function.name.0.last()?.as_ident()?;
            Some((identifier(last), true))
        }
        Expr::Cast { expr, data_type, .. } => match figure(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((types::named(data_type).map_or("?column?", |n| types::internal_name(n.ty)).to_string(), false)),
        },
        Expr::TypedString(typed) => {
            Some((types::named(&typed.data_type).map_or("?column?", |n| types::internal_name(n.ty)).to_string(), false))
        }
        Expr::Interval(_) => Some(("interval".to_string(), false)),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_string(), false)),
        },
        Expr::Extract { .. } => strong("extract"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { shorthand: true, .. } => strong("substr"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Trim { trim_where, .. } => match trim_where {
            Some(TrimWhereField::Leading) => strong("ltrim"),
            Some(TrimWhereField::Trailing) => strong("rtrim"),
            _ => strong("btrim"),
        },
        Expr::Exists { .. } => strong("exists"),
        Expr::Subquery(query) => Some((subquery_name(&query.body), true)),
        _ => None,
    }
}

/// The name of a subquery's column.
fn subquery_name(body: &SetExpr) -> String {
    match body {
        SetExpr::Select(select) => match select.projection.first() {
            Some(SelectItem::UnnamedExpr(expr)) => column_name(expr),
            Some(SelectItem::ExprWithAlias { alias, .. }) => identifier(alias),
            _ => "?column?".to_string(),
        },
        SetExpr::Query(query) => subquery_name(&query.body),
        SetExpr::SetOperation { left, .. } => subquery_name(left),
        SetExpr::Values(_) => "column1".to_string(),
        _ => "?column?".to_string(),
    }
}
