// SPDX-License-Identifier: Apache-2.0
//! The two engine profiles.
//!
//! Everything that changes what a guest computes is the same in both: NaNs are canonical, relaxed SIMD is deterministic,
//! and there are no threads. They differ in where memories live.

use std::{hash::Hasher, num::NonZeroUsize, time::Duration};

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, ResourcesRequired};

use crate::limits::{EngineChoice, Limits, SMALL_MEMORY_MIB};

/// How often a running guest comes by its tick callback.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// WebAssembly stack on the small engine. The rest of a fiber's stack is for host functions.
const SMALL_WASM_STACK: usize = 512 << 10;
/// WebAssembly stack on the heavy engine. Interpreters nest deeply and count their own stack, which is a part of the
/// linear memory; this one must outlast that, so that too much recursion is an exception and no trap. It is address space
/// until it is used.
const HEAVY_WASM_STACK: usize = 64 << 20;
/// What host functions need on a fiber's stack, with room to spare.
const HOST_STACK: usize = 1 << 20;

/// Components above this size are taken for a language runtime and go to the heavy engine.
const SMALL_COMPONENT_BYTES: usize = 4 << 20;
/// Slots of 4 GiB that fit into the 47 bits of address space that a process has, with as much left for everything else.
const WIDE_SLOTS: u32 = 16_000;
const SMALL_TABLES: u32 = 4;
const SMALL_TABLE_ELEMENTS: usize = 20_000;

/// An engine profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Profile {
    /// Many cheap instances. Memories are slots of a pool; what a guest touched is reset page by page when it ends. A slot
    /// takes 4 GiB of address space, so that code needs no bounds checks.
    Small,
    /// As small, for more instances than the address space has slots of 4 GiB: a slot takes 256 MiB, and code checks bounds.
    Dense,
    /// Few large instances. Each memory has 4 GiB of address space, so that it needs no bounds checks.
    Heavy,
}

impl Profile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Dense => "dense",
            Self::Heavy => "heavy",
        }
    }

    /// The pooled profile for so many instances.
    pub(crate) fn pooled_for(instances: u32) -> Self {
        if instances <= WIDE_SLOTS { Self::Small } else { Self::Dense }
    }

    /// Whether memories come from a pool.
    pub(crate) fn is_pooled(self) -> bool {
        self != Self::Heavy
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Small, Self::Dense, Self::Heavy].into_iter().find(|profile| profile.name() == name)
    }

    /// The profile for a component of so many bytes.
    pub(crate) fn choose(limits: &Limits, component_bytes: usize) -> Self {
        match limits.engine {
            EngineChoice::Small => Self::Small,
            EngineChoice::Heavy => Self::Heavy,
            EngineChoice::Auto if component_bytes > SMALL_COMPONENT_BYTES || limits.memory_mib > SMALL_MEMORY_MIB => {
                Self::Heavy
            }
            EngineChoice::Auto => Self::Small,
        }
    }

    /// Why instances of a component do not fit in the pool of the small engine.
    pub(crate) fn misfit(required: &ResourcesRequired) -> Option<String> {
        if required.num_memories > 1 {
            return Some(format!("{} memories", required.num_memories));
        }
        if required.num_tables > SMALL_TABLES {
            return Some(format!("{} tables", required.num_tables));
        }
        if let Some(elements) = required.max_initial_table_size.filter(|size| *size > SMALL_TABLE_ELEMENTS as u64) {
            return Some(format!("a table of {elements} elements"));
        }
        None
    }

    /// Everything that the compiler must know. A compiler process uses this configuration too, without reserving a pool.
    fn config(self) -> Config {
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .concurrency_support(false)
            .memory_init_cow(true)
            .relaxed_simd_deterministic(true)
            .cranelift_nan_canonicalization(true)
            .wasm_backtrace_max_frames(NonZeroUsize::new(20));
        match self {
            Self::Small => config
                .max_wasm_stack(SMALL_WASM_STACK)
                .async_stack_size(SMALL_WASM_STACK + HOST_STACK)
                .guard_before_linear_memory(false),
            Self::Dense => config
                .max_wasm_stack(SMALL_WASM_STACK)
                .async_stack_size(SMALL_WASM_STACK + HOST_STACK)
                .memory_reservation(SMALL_MEMORY_MIB << 20)
                .memory_guard_size(64 << 10)
                .guard_before_linear_memory(false),
            Self::Heavy => config.max_wasm_stack(HEAVY_WASM_STACK).async_stack_size(HEAVY_WASM_STACK + HOST_STACK),
        };
        config
    }

    /// An engine that only compiles, on many threads or on this one. The code is the same.
    pub(crate) fn compiler(self, threads: bool) -> wasmtime::Result<Engine> {
        Engine::new(self.config().parallel_compilation(threads))
    }

    /// An engine for `instances` live instances, and the thread that makes it tick.
    pub(crate) fn engine(self, instances: u32) -> wasmtime::Result<Engine> {
        let mut config = self.config();
        if self.is_pooled() {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
        }
        let engine = Engine::new(&config)?;
        let weak = engine.weak();
        std::thread::Builder::new()
            .name(format!("gym-tick-{}", self.name()))
            .spawn(move || {
                loop {
                    std::thread::sleep(TICK);
                    match weak.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => return,
                    }
                }
            })
            .map_err(wasmtime::Error::from)?;
        Ok(engine)
    }
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(64))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(SMALL_TABLES))
        // An idle instance keeps the stack of its last call, so there must be as many stacks as instances.
        .total_stacks(instances)
        .max_memory_size((SMALL_MEMORY_MIB << 20) as usize)
        // What a component may have is decided by `Profile::misfit`, which gives a better answer than a refusal to load.
        .max_memories_per_module(u32::from(u16::MAX))
        .max_tables_per_module(u32::from(u16::MAX))
        .table_elements(SMALL_TABLE_ELEMENTS)
        .max_component_instance_size(4 << 20)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(32 << 10)
        .max_unused_warm_slots(256)
        .pagemap_scan(if swap_is_on() { Enabled::No } else { Enabled::Auto });
    pool
}

/// Whether the machine swaps. Scanning the page map for what a guest touched does not see pages that were swapped out,
/// and the next tenant of the slot must not find them; so it is not used then.
fn swap_is_on() -> bool {
    // The first line is a heading. Without the file there is no way to tell, so the cautious answer is yes.
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}

/// Digest of everything that compiled code depends on: wasmtime's version, its settings, and the machine's features.
pub(crate) fn fingerprint(engine: &Engine, profile: Profile) -> [u8; 32] {
    struct Feed(blake3::Hasher);
    impl Hasher for Feed {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            let mut first = [0; 8];
            first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
            u64::from_le_bytes(first)
        }
    }
    let mut feed = Feed(blake3::Hasher::new());
    feed.write(profile.name().as_bytes());
    std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut feed);
    *feed.0.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_and_a_pooled_engine_agree_on_the_code() {
        for profile in [Profile::Small, Profile::Dense, Profile::Heavy] {
            let compiler = profile.compiler(true).unwrap();
            let engine = profile.engine(4).unwrap();
            assert_eq!(fingerprint(&compiler, profile), fingerprint(&engine, profile));
        }
        let small = fingerprint(&Profile::Small.compiler(false).unwrap(), Profile::Small);
        assert_ne!(small, fingerprint(&Profile::Heavy.compiler(true).unwrap(), Profile::Heavy));
    }

    #[test]
    fn large_components_and_large_memories_go_to_the_heavy_engine() {
        let limits = Limits::default();
        let roomy = Limits { memory_mib: 512, ..Limits::default() };
        let forced = Limits { engine: EngineChoice::Small, ..Limits::default() };
        assert_eq!(Profile::choose(&limits, 300_000), Profile::Small);
        assert_eq!(Profile::choose(&limits, 19_000_000), Profile::Heavy);
        assert_eq!(Profile::choose(&roomy, 300_000), Profile::Heavy);
        assert_eq!(Profile::choose(&forced, 19_000_000), Profile::Small);
    }
}
