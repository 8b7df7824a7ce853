//! What the versions before wrote is read; what a newer one wrote is refused with the way out.

#![allow(clippy::unwrap_used)]

use zset::Epoch;

use crate::checkpoint::Metadata;

/// Every kind of table and sink, positions, dead letters, an error, a dropped table of our own.
const OF_2: &str = include_str!("samples/metadata-2.json");

#[test]
fn metadata_of_format_2_is_read() {
    let metadata = Metadata::decode(OF_2.as_bytes()).unwrap();
    assert_eq!((metadata.format, metadata.epoch), (2, Epoch(20)));
    assert_eq!((metadata.catalog.tables().count(), metadata.catalog.sinks().count()), (9, 3));
    assert_eq!(metadata.tables.iter().filter(|table| table.error.is_some()).count(), 1);
    // A field that came since must not show where nothing set it: the sample is what would be written again.
    let again = serde_json::to_string(&metadata).unwrap();
    assert_eq!(again, OF_2);
}

#[test]
fn metadata_of_other_formats_is_refused() {
    let refused = |text: String, words: &str| {
        let error = Metadata::decode(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(
        OF_2.replacen("\"format\":2", "\"format\":5,\"new\":{}", 1),
        "version 5, and this millstream knows versions 2 to 4: a newer",
    );
    refused(
        OF_2.replacen("\"format\":2", "\"format\":1", 1),
        "version 1, and this millstream knows versions 2 to 4: start the older",
    );
    refused(OF_2.replacen("\"row_format\":1", "\"row_format\":2", 1), "of its rows, its format is version 2");
    refused(OF_2.replacen("\"epoch\"", "\"surprise\":1,\"epoch\"", 1), "surprise");
}
