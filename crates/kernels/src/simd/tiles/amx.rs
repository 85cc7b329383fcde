//! AMX instructions.

use super::{Config, Tiles};
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};

/// The tiles of the processor.
pub(crate) struct Amx(());

/// One instruction. All tiles count as clobbered, so the compiler keeps nothing in them between two
/// instructions.
macro_rules! instruction {
    ($($argument:tt)*) => {
        asm!(
            $($argument)*,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, preserves_flags),
        )
    };
}

impl Tiles for Amx {
    #[inline(always)]
    unsafe fn configure(config: &Config) -> Self {
        // SAFETY: the caller guarantees the instructions; a configuration has 64 bytes.
        unsafe {
            instruction!("ldtilecfg [{config}]", config = in(reg) std::ptr::from_ref(config))
        };
        Self(())
    }

    #[inline(always)]
    unsafe fn zero<const TILE: usize>(&mut self) {
        // SAFETY: the caller guarantees the instructions and the tile.
        unsafe { instruction!("tilezero tmm{tile}", tile = const TILE) };
    }

    #[inline(always)]
    unsafe fn load<const TILE: usize>(&mut self, from: *const u8, stride: usize) {
        // SAFETY: the caller guarantees the instructions, the tile and its rows.
        unsafe {
            instruction!(
                "tileloadd tmm{tile}, [{from} + {stride}*1]",
                tile = const TILE, from = in(reg) from, stride = in(reg) stride
            );
        }
    }

    #[inline(always)]
    unsafe fn store<const TILE: usize>(&mut self, to: *mut u8, stride: usize) {
        // SAFETY: as above.
        unsafe {
            instruction!(
                "tilestored [{to} + {stride}*1], tmm{tile}",
                tile = const TILE, to = in(reg) to, stride = in(reg) stride
            );
        }
    }

    #[inline(always)]
    unsafe fn add_products<const SUMS: usize, const LEFT: usize, const RIGHT: usize>(&mut self) {
        // SAFETY: the caller guarantees the instructions and the tiles.
        unsafe {
            instruction!(
                "tdpbf16ps tmm{sums}, tmm{left}, tmm{right}",
                sums = const SUMS, left = const LEFT, right = const RIGHT
            );
        }
    }
}

impl Drop for Amx {
    fn drop(&mut self) {
        // SAFETY: tiles were configured. Threads without tiles are cheaper to switch to.
        unsafe { instruction!("tilerelease") };
    }
}

/// Whether the processor has bfloat16 tiles, and the system saves them at thread switches and lets
/// this process use them.
pub(crate) fn is_detected() -> bool {
    let (least, features) = (__cpuid(0).eax, __cpuid(1).ecx);
    if least < 7 || features & (1 << 27) == 0 {
        return false;
    }
    let (bf16, tile) = (1 << 22, 1 << 24);
    let has = __cpuid_count(7, 0).edx & (bf16 | tile) == bf16 | tile;
    // The states of the configuration and of the tiles.
    let saved = 0b11 << 17;
    has && enabled_states() & saved == saved && permitted()
}

/// The register states that the system saves (XCR0).
fn enabled_states() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the system has set OSXSAVE, so the instruction exists.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags))
    };
    u64::from(high) << 32 | u64::from(low)
}

/// Requests tiles for all threads of the process; the system reserves the 8 KiB per thread only on
/// request.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: u64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const TILES: u64 = 18;
    let answer: u64;
    // SAFETY: the call takes two numbers and touches no memory of the process; all other registers
    // it changes are named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILES,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// On other systems the request is different and was never tested.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}
