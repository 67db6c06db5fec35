//! The few fields of an X.509 certificate that rustls does not tell: its signature's digest, its validity, and its
//! common name. What is not understood is an error; nothing here replaces the check of a chain.

use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::time::Duration;

/// Not a certificate as RFC 5280 has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]` of the body: its version. `[3]`: its extensions.
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1D, 0x11];
/// 1.2.840.113549.1.1: RSA with a digest; the next number says which.
const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01];
/// 1.2.840.10045.4.3: ECDSA with a digest of the SHA-2 family.
const ECDSA: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03];

/// `tls-server-end-point` (RFC 5929): the certificate's hash by the digest of its own signature, SHA-256 in the place of
/// weak ones. None where the signature has no digest of that kind.
pub(super) fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let mut certificate = Reader(der).inside(SEQUENCE).ok()?;
    certificate.take(SEQUENCE).ok()?;
    let algorithm = certificate.inside(SEQUENCE).ok()?.take(OBJECT_IDENTIFIER).ok()?;
    let digest = match algorithm.split_last()? {
        // MD5 and SHA-1 count as SHA-256.
        (4 | 5 | 11, rest) if rest == RSA => 256,
        (12, rest) if rest == RSA => 384,
        (13, rest) if rest == RSA => 512,
        (2, rest) if rest == ECDSA => 256,
        (3, rest) if rest == ECDSA => 384,
        (4, rest) if rest == ECDSA => 512,
        _ => return None,
    };
    Some(match digest {
        384 => Sha384::digest(der).to_vec(),
        512 => Sha512::digest(der).to_vec(),
        _ => Sha256::digest(der).to_vec(),
    })
}

/// Whether the certificate is valid now (seconds since 1970).
pub(super) fn check_validity(der: &[u8], now: u64) -> Result<(), rustls::Error> {
    let mut fields = Fields::read(der)?;
    let (not_before, not_after) = (fields.validity.time()?, fields.validity.time()?);
    let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    if now < not_before {
        let (time, not_before) = (time(now), time(not_before));
        return Err(CertificateError::NotValidYetContext { time, not_before }.into());
    }
    if now > not_after {
        let (time, not_after) = (time(now), time(not_after));
        return Err(CertificateError::ExpiredContext { time, not_after }.into());
    }
    Ok(())
}

/// The last common name, where there are no alternative names, which would be the only ones that count.
pub(super) fn common_name_without_alternatives(der: &[u8]) -> Option<String> {
    let mut fields = Fields::read(der).ok()?;
    if fields.has_alternative_names().ok()? {
        return None;
    }
    let mut found = None;
    while !fields.subject.0.is_empty() {
        let mut set = fields.subject.inside(SET).ok()?;
        while !set.0.is_empty() {
            let mut pair = set.inside(SEQUENCE).ok()?;
            let kind = pair.take(OBJECT_IDENTIFIER).ok()?;
            let (_, value) = pair.next().ok()?;
            if kind == COMMON_NAME {
                found = Some(String::from_utf8(value.to_vec()).ok()?);
            }
        }
    }
    // A NUL in a name is an attack on those who read up to it.
    found.filter(|name| !name.contains('\0'))
}

struct Fields<'a> {
    validity: Reader<'a>,
    subject: Reader<'a>,
    extensions: Option<Reader<'a>>,
}

impl<'a> Fields<'a> {
    fn read(der: &'a [u8]) -> Result<Self, Unreadable> {
        let mut body = Reader(der).inside(SEQUENCE)?.inside(SEQUENCE)?;
        if body.0.first() == Some(&VERSION) {
            body.next()?;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            body.next()?;
        }
        let (validity, subject) = (body.inside(SEQUENCE)?, body.inside(SEQUENCE)?);
        let mut extensions = None;
        while !body.0.is_empty() {
            let (tag, value) = body.next()?;
            if tag == EXTENSIONS {
                extensions = Some(Reader(value).inside(SEQUENCE)?);
            }
        }
        Ok(Self { validity, subject, extensions })
    }

    fn has_alternative_names(&mut self) -> Result<bool, Unreadable> {
        let Some(extensions) = &mut self.extensions else { return Ok(false) };
        while !extensions.0.is_empty() {
            if extensions.inside(SEQUENCE)?.take(OBJECT_IDENTIFIER)? == ALTERNATIVE_NAMES {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// DER, value by value.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(u8, &'a [u8]), Unreadable> {
        let (&tag, rest) = self.0.split_first().ok_or(Unreadable)?;
        let (&first, mut rest) = rest.split_first().ok_or(Unreadable)?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let bytes = usize::from(first & 0x7F);
            if bytes == 0 || bytes > 3 || rest.len() < bytes {
                return Err(Unreadable);
            }
            let length = rest[..bytes].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = &rest[bytes..];
            length
        };
        if rest.len() < length {
            return Err(Unreadable);
        }
        let (value, rest) = rest.split_at(length);
        self.0 = rest;
        Ok((tag, value))
    }

    fn take(&mut self, wanted: u8) -> Result<&'a [u8], Unreadable> {
        let (tag, value) = self.next()?;
        if tag == wanted { Ok(value) } else { Err(Unreadable) }
    }

    fn inside(&mut self, wanted: u8) -> Result<Reader<'a>, Unreadable> {
        self.take(wanted).map(Reader)
    }

    /// A time as seconds since 1970: `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
    fn time(&mut self) -> Result<u64, Unreadable> {
        let (tag, value) = self.next()?;
        let text = std::str::from_utf8(value).map_err(|_| Unreadable)?.strip_suffix('Z').ok_or(Unreadable)?;
        let (year, rest) = match tag {
            UTC_TIME if text.len() == 12 => {
                let year = number(&text[..2])?;
                (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
            }
            GENERALIZED_TIME if text.len() == 14 => (number(&text[..4])?, &text[4..]),
            _ => return Err(Unreadable),
        };
        let part = |index: usize| number(&rest[index * 2..index * 2 + 2]);
        let days = days_before(year, part(0)?, part(1)?)?;
        Ok(((days * 24 + part(2)?) * 60 + part(3)?) * 60 + part(4)?)
    }
}

fn number(digits: &str) -> Result<u64, Unreadable> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().map_err(|_| Unreadable)
    } else {
        Err(Unreadable)
    }
}

/// Days from 1970-01-01 to this date; dates before it count as it.
fn days_before(year: u64, month: u64, day: u64) -> Result<u64, Unreadable> {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    if year < 1970 {
        return Ok(0);
    }
    let month = usize::try_from(month).ok().filter(|month| (1..=12).contains(month)).ok_or(Unreadable)?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let in_years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let leap_day = u64::from(is_leap && month > 2);
    Ok(in_years + BEFORE_MONTH[month - 1] + leap_day + day.max(1) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        let utc = |text: &str| {
            let mut der = vec![if text.len() == 13 { UTC_TIME } else { GENERALIZED_TIME }, text.len() as u8];
            der.extend_from_slice(text.as_bytes());
            Reader(&der).time()
        };
        assert_eq!(utc("700101000001Z"), Ok(1));
        assert_eq!(utc("20000301000000Z"), Ok(951_868_800));
        assert_eq!(utc("261121101112Z"), Ok(1_795_255_872));
        assert_eq!(utc("24022912x000Z"), Err(Unreadable));
    }

    #[test]
    fn what_is_no_certificate_is_unreadable() {
        for der in [&[][..], &[0x30, 0x05, 0x30], &[0x30, 0x80, 0x00], &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]]
        {
            assert_eq!(end_point(der), None);
            assert_eq!(common_name_without_alternatives(der), None);
            assert!(check_validity(der, 0).is_err());
        }
    }
}
