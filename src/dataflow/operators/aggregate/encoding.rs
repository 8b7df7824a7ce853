//! The bytes of accumulators in state: little-endian, wide integers without their sign's repeated bytes.

use arrow::datatypes::i256;

use crate::FlowError;

/// Appends a 64-bit integer.
pub(super) fn put_i64(into: &mut Vec<u8>, value: i64) {
    into.extend_from_slice(&value.to_le_bytes());
}

/// Appends a wide integer: a length, then that many bytes, the last of which has the sign.
pub(super) fn put_i256(into: &mut Vec<u8>, value: i256) {
    let bytes = value.to_le_bytes();
    let fill = if value.is_negative() { 0xff } else { 0 };
    let mut len = bytes.len();
    while len > 1 && bytes[len - 1] == fill && (bytes[len - 2] ^ fill) < 0x80 {
        len -= 1;
    }
    into.push(len as u8);
    into.extend_from_slice(&bytes[..len]);
}

/// Appends a byte string behind its length.
pub(super) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    into.extend_from_slice(bytes);
}

/// Reads what was put, in the same order.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], FlowError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or_else(|| {
            FlowError::invariant("the accumulators of a group: they end early (written by another program?)")
        })?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FlowError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A byte.
    pub fn u8(&mut self) -> Result<u8, FlowError> {
        Ok(self.array::<1>()?[0])
    }

    /// A 64-bit integer.
    pub fn i64(&mut self) -> Result<i64, FlowError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A wide integer.
    pub fn i256(&mut self) -> Result<i256, FlowError> {
        let len = usize::from(self.u8()?).clamp(1, 32);
        let bytes = self.take(len)?;
        let fill = if bytes[len - 1] >= 0x80 { 0xff } else { 0 };
        let mut all = [fill; 32];
        all[..len].copy_from_slice(bytes);
        Ok(i256::from_le_bytes(all))
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], FlowError> {
        let len = u32::from_le_bytes(self.array()?);
        self.take(len as usize)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        for exponent in 0..=254 {
            let power = i256::from(1).wrapping_mul(i256::from(2).wrapping_pow(exponent));
            for value in [power, power - i256::from(1), -power, -power - i256::from(1)] {
                let mut bytes = Vec::new();
                put_i256(&mut bytes, value);
                put_i64(&mut bytes, -7);
                put_bytes(&mut bytes, b"abc");
                let mut reader = Reader(&bytes);
                assert_eq!((reader.i256().unwrap(), reader.i64().unwrap()), (value, -7));
                assert_eq!((reader.bytes().unwrap(), reader.0.len()), (b"abc".as_slice(), 0));
            }
        }
        assert!(Reader(&[1, 2]).i64().is_err());
    }
}
