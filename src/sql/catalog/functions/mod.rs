//! The functions of catalog queries: what they take and give, by name. One that is not here does not exist for them.

mod aggregate;
mod arrays;
mod describe;
mod series;
mod session;
mod strings;

use super::ty::Ty;
use super::value::Value;
use super::world::World;
use crate::error::Result;

pub(crate) use aggregate::Aggregate;
pub(crate) use series::Series;

/// A call: the arguments and their types.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a World<'a>,
    pub(crate) arguments: &'a [Value],
    pub(crate) types: &'a [Ty],
}

impl Call<'_> {
    fn value(&self, at: usize) -> &Value {
        self.arguments.get(at).unwrap_or(&Value::Null)
    }

    fn int(&self, at: usize) -> i64 {
        self.value(at).as_int().unwrap_or_default()
    }

    fn str(&self, at: usize) -> &str {
        self.value(at).as_str().unwrap_or_default()
    }

    /// An argument as PostgreSQL prints it.
    fn text(&self, at: usize) -> String {
        super::cast::display(self.world, self.value(at), self.types.get(at).copied().unwrap_or(Ty::TEXT))
    }
}

/// A scalar function.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) takes: &'static [Ty],
    /// How many of `takes` must be given.
    pub(crate) required: usize,
    /// Whether more may follow, of any type.
    pub(crate) variadic: bool,
    /// `ANY`: the type of the first argument.
    pub(crate) gives: Ty,
    /// Whether a NULL among the arguments makes it NULL.
    pub(crate) strict: bool,
    pub(crate) body: fn(&Call) -> Result<Value>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A strict function of fixed arguments.
const fn function(name: &'static str, takes: &'static [Ty], gives: Ty, body: fn(&Call) -> Result<Value>) -> Function {
    Function { name, takes, required: takes.len(), variadic: false, gives, strict: true, body }
}

impl Function {
    /// Only the first so many arguments must be given.
    const fn from(mut self, required: usize) -> Self {
        self.required = required;
        self
    }

    const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    /// NULL is an argument like any other.
    const fn null_too(mut self) -> Self {
        self.strict = false;
        self
    }
}

/// The function of a name that takes so many arguments.
pub(crate) fn function_named(name: &str, arguments: usize) -> Option<&'static Function> {
    let lists = [describe::FUNCTIONS, session::FUNCTIONS, strings::FUNCTIONS, arrays::FUNCTIONS];
    lists.into_iter().flatten().find(|function| {
        function.name == name
            && arguments >= function.required
            && (function.variadic || arguments <= function.takes.len())
    })
}

/// Whether a function tells of the catalog or the session: a query with it is a catalog query.
pub(crate) fn is_about_the_catalog(name: &str) -> bool {
    let lists = [describe::FUNCTIONS, session::FUNCTIONS];
    lists.into_iter().flatten().any(|function| function.name == name && !session::ALSO_OF_DATA.contains(&name))
}
