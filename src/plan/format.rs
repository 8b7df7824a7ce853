//! Which versions of its own formats this millstream reads.
//!
//! A version is raised when bytes of the new one would be misread by the old program. What is added with a default, and is left
//! out where it has that, keeps older bytes readable: they are read as they are, and never written again.

use std::ops::RangeInclusive;

/// Refuses a version that is not known, with the way out; the text goes on a sentence that names what is read.
pub fn known_version(found: u32, known: RangeInclusive<u32>) -> Result<(), String> {
    let (oldest, newest) = known.into_inner();
    if found > newest {
        return Err(format!(
            "its format is version {found}, and this millstream knows versions {oldest} to {newest}: a newer millstream wrote \
             it; start that one"
        ));
    }
    if found < oldest {
        return Err(format!(
            "its format is version {found}, and this millstream knows versions {oldest} to {newest}: start the older \
             millstream that wrote it, or begin anew with another --data folder and another --pipeline name"
        ));
    }
    Ok(())
}
