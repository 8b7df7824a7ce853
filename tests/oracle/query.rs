//! Random queries of what stream tables can do: joins of any number of tables, conditions, grouping, HAVING, DISTINCT,
//! UNION ALL, subqueries, expressions.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::value::{self, Type};

/// What can be selected from: a name and typed columns.
#[derive(Debug, Clone)]
pub struct Relation {
    pub name: String,
    pub columns: Vec<(String, Type)>,
}

/// A column in reach: qualified name and type.
pub type Scope = Vec<(String, Type)>;

/// A random query, and the types of its columns, which are named c0, c1, ...; `None`: a type that later queries leave
/// alone (a wide numeric).
pub fn query(rng: &mut ChaCha8Rng, relations: &[Relation]) -> (String, Vec<Option<Type>>) {
    match rng.random_range(0..10) {
        0 | 1 => union(rng, relations),
        _ => select(rng, relations, None, 1),
    }
}

fn union(rng: &mut ChaCha8Rng, relations: &[Relation]) -> (String, Vec<Option<Type>>) {
    let types: Vec<Type> =
        (0..rng.random_range(1..4)).map(|_| value::ALL[rng.random_range(0..value::ALL.len())]).collect();
    let arms: Vec<String> = (0..rng.random_range(2..4)).map(|_| select(rng, relations, Some(&types), 0).0).collect();
    let all = if rng.random_bool(0.7) { " UNION ALL " } else { " UNION " };
    (arms.join(all), types.into_iter().map(Some).collect())
}

/// A SELECT; of the wanted types, or of any.
fn select(
    rng: &mut ChaCha8Rng,
    relations: &[Relation],
    wanted: Option<&[Type]>,
    depth: usize,
) -> (String, Vec<Option<Type>>) {
    let (from, scope) = from(rng, relations, depth);
    let filter = if rng.random_bool(0.5) { format!(" WHERE {}", predicate(rng, &scope, 2)) } else { String::new() };
    if let Some(types) = wanted {
        let items: Vec<String> =
            types.iter().enumerate().map(|(at, ty)| format!("{} AS c{at}", expression(rng, &scope, *ty, 1))).collect();
        return (format!("SELECT {} FROM {from}{filter}", items.join(", ")), types.iter().copied().map(Some).collect());
    }
    if rng.random_bool(0.5) {
        return grouped(rng, &from, &scope, &filter);
    }
    let distinct = if rng.random_bool(0.3) { "DISTINCT " } else { "" };
    let mut items = Vec::new();
    let mut types = Vec::new();
    for at in 0..rng.random_range(1..5) {
        let ty = some_type(rng, &scope);
        items.push(format!("{} AS c{at}", expression(rng, &scope, ty, 2)));
        types.push(Some(ty));
    }
    (format!("SELECT {distinct}{} FROM {from}{filter}", items.join(", ")), types)
}

fn grouped(rng: &mut ChaCha8Rng, from: &str, scope: &Scope, filter: &str) -> (String, Vec<Option<Type>>) {
    let mut items = Vec::new();
    let mut groups = Vec::new();
    let mut types = Vec::new();
    for _ in 0..rng.random_range(0..3) {
        let ty = some_type(rng, scope);
        let group = expression(rng, scope, ty, 1);
        // A constant in GROUP BY is a position, for PostgreSQL.
        if !scope.iter().any(|(name, _)| group.contains(name.as_str())) {
            continue;
        }
        groups.push(group.clone());
        types.push(Some(ty));
        items.push(group);
    }
    for _ in 0..rng.random_range(1..4) {
        let (call, ty) = aggregate(rng, scope);
        items.push(call);
        types.push(ty);
    }
    let having = if rng.random_bool(0.3) {
        let (call, _) = numeric_aggregate(rng, scope);
        format!(" HAVING {call} {} {}", ["<", ">", "<>", ">="][rng.random_range(0..4)], rng.random_range(-2..6))
    } else {
        String::new()
    };
    let by = if groups.is_empty() { String::new() } else { format!(" GROUP BY {}", groups.join(", ")) };
    let items: Vec<String> = items.iter().enumerate().map(|(at, item)| format!("{item} AS c{at}")).collect();
    (format!("SELECT {} FROM {from}{filter}{by}{having}", items.join(", ")), types)
}

fn aggregate(rng: &mut ChaCha8Rng, scope: &Scope) -> (String, Option<Type>) {
    let filter =
        if rng.random_bool(0.2) { format!(" FILTER (WHERE {})", predicate(rng, scope, 1)) } else { String::new() };
    let ordered: Vec<&(String, Type)> =
        scope.iter().filter(|(_, ty)| !matches!(ty, Type::Boolean | Type::Uuid)).collect();
    if rng.random_bool(0.4) && !ordered.is_empty() {
        let (name, ty) = ordered[rng.random_range(0..ordered.len())];
        let function = if rng.random_bool(0.5) { "min" } else { "max" };
        let ty = if *ty == Type::Varchar { Type::Text } else { *ty };
        return (format!("{function}({name}){filter}"), Some(ty));
    }
    let (call, ty) = numeric_aggregate(rng, scope);
    (format!("{call}{filter}"), ty)
}

fn numeric_aggregate(rng: &mut ChaCha8Rng, scope: &Scope) -> (String, Option<Type>) {
    let distinct = if rng.random_bool(0.2) { "DISTINCT " } else { "" };
    match rng.random_range(0..4) {
        0 => ("count(*)".to_string(), Some(Type::BigInt)),
        1 => {
            let (name, _) = &scope[rng.random_range(0..scope.len())];
            (format!("count({distinct}{name})"), Some(Type::BigInt))
        }
        kind => {
            let numbers: Vec<&(String, Type)> = scope.iter().filter(|(_, ty)| ty.is_number()).collect();
            if numbers.is_empty() {
                return ("count(*)".to_string(), Some(Type::BigInt));
            }
            let (name, ty) = numbers[rng.random_range(0..numbers.len())];
            let function = if kind == 2 { "sum" } else { "avg" };
            let result = match (function, ty) {
                ("sum", Type::SmallInt | Type::Int) => Some(Type::BigInt),
                ("sum", Type::Real) => Some(Type::Real),
                (_, Type::Double) | ("avg", Type::Real) => Some(Type::Double),
                _ => None,
            };
            // The average of floats is a quotient: rounded the same, but not dyadic, so nothing is built on it.
            let result = if function == "avg" { None } else { result };
            (format!("{function}({distinct}{name})"), result)
        }
    }
}

fn from(rng: &mut ChaCha8Rng, relations: &[Relation], depth: usize) -> (String, Scope) {
    let mut scope: Scope = Vec::new();
    let mut text = String::new();
    for at in 0..[1, 1, 2, 2, 3][rng.random_range(0..5)] {
        let alias = format!("r{depth}{at}");
        let (item, columns) = relation(rng, relations, &alias, depth);
        let mine: Scope = columns.iter().map(|(name, ty)| (format!("{alias}.{name}"), *ty)).collect();
        let pairs: Vec<(String, String)> = scope
            .iter()
            .flat_map(|(left, a)| {
                mine.iter()
                    .filter(move |(_, b)| comparable(*a, *b))
                    .map(move |(right, _)| (left.clone(), right.clone()))
            })
            .collect();
        if at == 0 {
            text = item;
        } else if pairs.is_empty() {
            // A cross join of ever growing inputs is not what is tried here.
            break;
        } else {
            let (left, right) = &pairs[rng.random_range(0..pairs.len())];
            let both: Scope = scope.iter().chain(&mine).cloned().collect();
            let more = if rng.random_bool(0.3) { format!(" AND {}", predicate(rng, &both, 1)) } else { String::new() };
            text = format!("{text} JOIN {item} ON {left} = {right}{more}");
        }
        scope.extend(mine);
    }
    (text, scope)
}

fn relation(rng: &mut ChaCha8Rng, relations: &[Relation], alias: &str, depth: usize) -> (String, Vec<(String, Type)>) {
    if depth > 0 && rng.random_bool(0.2) {
        let (query, types) = select(rng, relations, None, depth - 1);
        let columns: Vec<(String, Type)> =
            types.iter().enumerate().filter_map(|(at, ty)| Some((format!("c{at}"), (*ty)?))).collect();
        if !columns.is_empty() {
            return (format!("({query}) AS {alias}"), columns);
        }
    }
    let relation = &relations[rng.random_range(0..relations.len())];
    (format!("{} AS {alias}", relation.name), relation.columns.clone())
}

fn comparable(a: Type, b: Type) -> bool {
    a == b || (a.is_int() && b.is_int()) || (a.is_text() && b.is_text())
}

fn some_type(rng: &mut ChaCha8Rng, scope: &Scope) -> Type {
    scope[rng.random_range(0..scope.len())].1
}

/// An expression of a type.
pub fn expression(rng: &mut ChaCha8Rng, scope: &Scope, ty: Type, depth: usize) -> String {
    let columns: Vec<&String> = scope.iter().filter(|(_, other)| *other == ty).map(|(name, _)| name).collect();
    let leaf = depth == 0 || rng.random_bool(0.5);
    if leaf && !columns.is_empty() && rng.random_range(0..8) > 0 {
        return columns[rng.random_range(0..columns.len())].clone();
    }
    if leaf {
        return format!("CAST({} AS {})", value::not_null(rng, ty).sql, ty.sql());
    }
    let mut part = |ty| expression(rng, scope, ty, depth - 1);
    let (a, b) = (part(ty), part(ty));
    let choice = rng.random_range(0..4);
    match choice {
        0 => format!("COALESCE({a}, {b})"),
        1 => format!("CASE WHEN {} THEN {a} ELSE {b} END", predicate(rng, scope, 1)),
        2 => format!("NULLIF({a}, {b})"),
        _ => match ty {
            Type::Int | Type::BigInt | Type::SmallInt => {
                format!("CAST({a} {} {b} AS {})", ["+", "-"][rng.random_range(0..2)], ty.sql())
            }
            Type::Real | Type::Double => format!("({a} {} {b})", ["+", "-"][rng.random_range(0..2)]),
            Type::Numeric => format!("CAST(({a} + {b}) / 2 AS numeric(12,2))"),
            Type::Text => format!("({a} || {b})"),
            Type::Varchar => a,
            Type::Boolean => format!("({})", predicate(rng, scope, 1)),
            Type::Date | Type::Timestamp | Type::TimestampTz | Type::Uuid => format!("COALESCE({b}, {a})"),
        },
    }
}

/// A condition.
pub fn predicate(rng: &mut ChaCha8Rng, scope: &Scope, depth: usize) -> String {
    if depth > 0 && rng.random_bool(0.4) {
        let (a, b) = (predicate(rng, scope, depth - 1), predicate(rng, scope, depth - 1));
        return match rng.random_range(0..3) {
            0 => format!("({a} AND {b})"),
            1 => format!("({a} OR {b})"),
            _ => format!("NOT ({a})"),
        };
    }
    let (name, ty) = scope[rng.random_range(0..scope.len())].clone();
    let literal = |rng: &mut ChaCha8Rng| format!("CAST({} AS {})", value::not_null(rng, ty).sql, ty.sql());
    match rng.random_range(0..6) {
        0 => format!("{name} IS {}NULL", if rng.random_bool(0.5) { "NOT " } else { "" }),
        1 => format!("{name} IN ({}, {})", literal(rng), literal(rng)),
        2 if ty != Type::Boolean => format!("{name} BETWEEN {} AND {}", literal(rng), literal(rng)),
        3 if ty.is_text() => format!("{name} LIKE '{}'", ["%a%", "a%", "_", "%"][rng.random_range(0..4)]),
        4 => format!("{name} IS DISTINCT FROM {}", literal(rng)),
        _ => {
            let operator = ["=", "<>", "<", ">", "<=", ">="][rng.random_range(0..6)];
            format!("{name} {operator} {}", literal(rng))
        }
    }
}
