//! Whether a program can run alone in an image: ELF, of the right processor, without a loader.

use crate::Platform;

/// Why a program cannot be the one in the image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramFinding {
    /// The file is not an ELF program.
    #[error("not a Linux program")]
    NotElf,
    /// The file ends before its own headers do.
    #[error("a Linux program that was cut short")]
    Truncated,
    /// A 32-bit or big-endian program.
    #[error("not a 64-bit little-endian program")]
    OtherClass,
    /// A program for another processor.
    #[error("made for another processor (ELF machine {machine}), the image is {platform}")]
    OtherMachine {
        /// The number in the ELF header.
        machine: u16,
        /// The platform of the image.
        platform: Platform,
    },
    /// An object file or a core dump.
    #[error("not an executable")]
    NotExecutable,
    /// The program asks for a loader and shared libraries, which an image without other files does not have.
    #[error("needs the loader {interpreter}: only a static program runs in an image without other files")]
    Dynamic {
        /// The loader that the program names.
        interpreter: String,
    },
}

impl ProgramFinding {
    /// The stable name of the finding.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Self::NotElf => "runner-not-elf",
            Self::Truncated => "runner-truncated",
            Self::OtherClass => "runner-other-class",
            Self::OtherMachine { .. } => "runner-other-machine",
            Self::NotExecutable => "runner-not-executable",
            Self::Dynamic { .. } => "runner-dynamic",
        }
    }
}

/// As much of a program's beginning as its headers need.
pub const PROGRAM_HEADERS: u64 = 64 * 1024;

/// Checks that `program`, of which the beginning suffices, is a static executable (position independent or not) of the platform.
pub fn check_program(program: &[u8], platform: Platform) -> Result<(), ProgramFinding> {
    if program.get(..4) != Some(b"\x7fELF") {
        return Err(ProgramFinding::NotElf);
    }
    let header = Header::parse(program)?;
    let expected = match platform {
        Platform::LinuxAmd64 => EM_X86_64,
        Platform::LinuxArm64 => EM_AARCH64,
    };
    if header.machine != expected {
        return Err(ProgramFinding::OtherMachine { machine: header.machine, platform });
    }
    if !matches!(header.kind, ET_EXEC | ET_DYN) || header.entry == 0 {
        return Err(ProgramFinding::NotExecutable);
    }
    match header.interpreter(program)? {
        Some(interpreter) => Err(ProgramFinding::Dynamic { interpreter }),
        None => Ok(()),
    }
}

const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_INTERP: u32 = 3;

struct Header {
    kind: u16,
    machine: u16,
    entry: u64,
    segments_at: u64,
    segment_size: u16,
    segment_count: u16,
}

impl Header {
    fn parse(program: &[u8]) -> Result<Self, ProgramFinding> {
        let (class, order) = (byte(program, 4)?, byte(program, 5)?);
        if (class, order) != (2, 1) {
            return Err(ProgramFinding::OtherClass);
        }
        Ok(Self {
            kind: u16_at(program, 16)?,
            machine: u16_at(program, 18)?,
            entry: u64_at(program, 24)?,
            segments_at: u64_at(program, 32)?,
            segment_size: u16_at(program, 54)?,
            segment_count: u16_at(program, 56)?,
        })
    }

    fn interpreter(&self, program: &[u8]) -> Result<Option<String>, ProgramFinding> {
        for index in 0..u64::from(self.segment_count) {
            let at = index
                .checked_mul(u64::from(self.segment_size))
                .and_then(|offset| offset.checked_add(self.segments_at))
                .and_then(|at| usize::try_from(at).ok())
                .ok_or(ProgramFinding::Truncated)?;
            if u32_at(program, at)? == PT_INTERP {
                let start = u64_at(program, offset(at, 8)?)?;
                let length = u64_at(program, offset(at, 32)?)?;
                return name(program, start, length).map(Some);
            }
        }
        Ok(None)
    }
}

fn name(program: &[u8], start: u64, length: u64) -> Result<String, ProgramFinding> {
    let start = usize::try_from(start).map_err(|_| ProgramFinding::Truncated)?;
    let length = usize::try_from(length.min(4096)).map_err(|_| ProgramFinding::Truncated)?;
    let bytes = program.get(start..offset(start, length)?).ok_or(ProgramFinding::Truncated)?;
    Ok(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())
}

fn offset(at: usize, distance: usize) -> Result<usize, ProgramFinding> {
    at.checked_add(distance).ok_or(ProgramFinding::Truncated)
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, ProgramFinding> {
    bytes.get(at).copied().ok_or(ProgramFinding::Truncated)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ProgramFinding> {
    bytes
        .get(at..offset(at, N)?)
        .and_then(|slice| <[u8; N]>::try_from(slice).ok())
        .ok_or(ProgramFinding::Truncated)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ProgramFinding> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ProgramFinding> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, ProgramFinding> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
pub(crate) mod samples {
    /// The smallest header that passes, with the given segments as (type, name).
    pub(crate) fn elf(kind: u16, machine: u16, segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[24..32].copy_from_slice(&0x1000u64.to_le_bytes());
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&u16::try_from(segments.len()).unwrap().to_le_bytes());
        let mut names_at = 64 + 56 * segments.len();
        for (kind, name) in segments {
            let mut segment = vec![0; 56];
            segment[..4].copy_from_slice(&kind.to_le_bytes());
            segment[8..16].copy_from_slice(&(names_at as u64).to_le_bytes());
            segment[32..40].copy_from_slice(&(name.len() as u64).to_le_bytes());
            bytes.extend(segment);
            names_at += name.len();
        }
        for (_, name) in segments {
            bytes.extend_from_slice(name);
        }
        bytes
    }

    pub(crate) fn static_pie() -> Vec<u8> {
        elf(3, 62, &[(1, b""), (2, b"")])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::samples::{elf, static_pie};
    use super::*;

    const AMD64: Platform = Platform::LinuxAmd64;

    #[test]
    fn static_programs_are_accepted() {
        assert_eq!(check_program(&static_pie(), AMD64), Ok(()));
        assert_eq!(check_program(&elf(2, 62, &[(1, b"")]), AMD64), Ok(()));
        assert_eq!(check_program(&elf(2, 183, &[]), Platform::LinuxArm64), Ok(()));
    }

    #[test]
    fn loader_is_named() {
        let dynamic = elf(3, 62, &[(1, b""), (3, b"/lib64/ld-linux-x86-64.so.2\0")]);
        let interpreter = "/lib64/ld-linux-x86-64.so.2".to_owned();
        assert_eq!(check_program(&dynamic, AMD64), Err(ProgramFinding::Dynamic { interpreter }));
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(check_program(b"#!/bin/sh\n", AMD64), Err(ProgramFinding::NotElf));
        assert_eq!(check_program(b"", AMD64), Err(ProgramFinding::NotElf));
        assert_eq!(check_program(b"\x7fELF\x02\x01", AMD64), Err(ProgramFinding::Truncated));
        assert_eq!(check_program(b"\x7fELF\x01\x01aaaaaaaa", AMD64), Err(ProgramFinding::OtherClass));
        assert_eq!(check_program(&elf(1, 62, &[]), AMD64), Err(ProgramFinding::NotExecutable));
        let other = ProgramFinding::OtherMachine { machine: 183, platform: AMD64 };
        assert_eq!(check_program(&elf(2, 183, &[]), AMD64), Err(other));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check_program(&bytes, AMD64);
            let magic = b"\x7fELF\x02\x01";
            if bytes.len() > 20 {
                bytes[..6].copy_from_slice(magic);
                bytes[16..20].copy_from_slice(&[3, 0, 62, 0]);
                let _ = check_program(&bytes, AMD64);
            }
        }
    }
}
