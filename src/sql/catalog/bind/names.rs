//! The names of a query's columns.

use datafusion::sql::sqlparser::ast::{AccessExpr, DataType, Expr as Ast, FunctionArguments, SelectItem, SetExpr};

use super::super::facts::type_by_oid;
use super::super::ty::Ty;
use crate::statements::identifier;

/// The name of an item without AS: a column's, a function's, a cast's type's.
pub(super) fn output_name(ast: &Ast) -> String {
    figure(ast).map_or_else(|| "?column?".to_string(), |(name, _)| name)
}

/// A name, and whether it is a strong one.
fn figure(ast: &Ast) -> Option<(String, bool)> {
    match ast {
        Ast::Nested(inner) | Ast::Collate { expr: inner, .. } => figure(inner),
        Ast::Cast { expr, data_type, .. } => match figure(expr) {
            Some((name, true)) => Some((name, true)),
            _ => {
                let ty = Ty::named(data_type).ok()?;
                // an array type is called as its elements are
                let written_as_array = matches!(data_type, DataType::Array(_));
                let ty = if written_as_array { ty.element().unwrap_or(ty) } else { ty };
                Some((type_by_oid(ty)?.name.to_string(), false))
            }
        },
        Ast::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Ast::Identifier(ident)) => Some((identifier(ident), true)),
                _ => None,
            });
            field.or_else(|| figure(root))
        }
        Ast::Function(function) if matches!(function.args, FunctionArguments::Subquery(_)) => {
            Some(("array".to_string(), true))
        }
        Ast::Array(_) => Some(("array".to_string(), true)),
        Ast::Subquery(query) => match &*query.body {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::UnnamedExpr(ast) => figure(ast),
                SelectItem::ExprWithAlias { alias, .. } => Some((identifier(alias), true)),
                _ => None,
            },
            _ => None,
        },
        Ast::Case { else_result, .. } => match else_result.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_string(), false)),
        },
        other => match crate::expr::names::column_name(other) {
            name if name == "?column?" => None,
            name => Some((name, true)),
        },
    }
}
