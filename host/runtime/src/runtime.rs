// SPDX-License-Identifier: Apache-2.0
//! The runtime: engines, the cache of compiled code, and loading.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use gym_agents::network::{Network, NoNetwork};
use gym_protocol::{
    Fault, ServerName,
    environment::{CallError, Description, Lifetime},
};
use gym_resources::Environment;
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::spawn_blocking};
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

use crate::{
    admission::{Admission, AdmissionOptions},
    bindings::{EnvironmentPre, runner::CodeRunnerPre},
    cache::{CodeCache, CodeKey},
    code::Code,
    compile::{CompileError, CompileLimits, CompilerCommand, compile},
    describe,
    engine::{Profile, fingerprint},
    files::{self, Files},
    instance::{Live, STATELESS_SEED},
    limits::{EngineChoice, LimitError, Limits},
    loaded::{House, Loaded, LoadedEnvironment, Refill, cost},
    log::{LogSink, TracingLog},
    models::{ModelDirectory, StaticModels},
    programs::{self, Runner, RunnerRequest, Runners},
    source::Source,
    state::{Settings, State},
    stats::{Counters, RuntimeStats},
    turns::Seats,
    wasi,
};

/// Slots of the pool beyond the admitted instances: an instance's slot is free a moment after its place is.
const SPARE_SLOTS: u32 = 16;
/// How long loading waits for a place to ask an environment what it is.
const DESCRIBE_WAIT: Duration = Duration::from_secs(30);

/// How a runtime is set up.
#[derive(Clone)]
pub struct RuntimeOptions {
    /// Folder of the cache of compiled code. None: nothing is kept.
    pub cache: Option<PathBuf>,
    /// Bytes that the cache may take. Default 8 GiB.
    pub cache_bytes: u64,
    /// The compiler process.
    pub compiler: CompilerCommand,
    /// Its limits.
    pub compile_limits: CompileLimits,
    /// Overrides of what this machine can carry.
    pub admission: AdmissionOptions,
    /// Where environments' lines go.
    pub log: Arc<dyn LogSink>,
    /// Long calls (above 60 ms of CPU time) that compute at a time. None: one less than the threads of the tokio runtime,
    /// at least one. With one thread more than cores, long calls can use every core and short ones still find a thread.
    /// Of all calls together, as many compute at a time as there are threads.
    pub long_calls: Option<usize>,
}

impl RuntimeOptions {
    /// Defaults, without a cache.
    pub fn new(compiler: CompilerCommand) -> Self {
        Self {
            cache: None,
            cache_bytes: 8 << 30,
            compiler,
            compile_limits: CompileLimits::default(),
            admission: AdmissionOptions::default(),
            log: Arc::new(TracingLog),
            long_calls: None,
        }
    }
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the {profile} engine: {message}")]
pub struct RuntimeError {
    profile: &'static str,
    message: String,
}

/// What to load.
pub struct LoadRequest {
    /// The component, a `.wasm` file.
    pub component: PathBuf,
    /// The environment's own folder, for `read-file`.
    pub folder: PathBuf,
    /// Name of the configured server.
    pub server: ServerName,
    /// Its configuration, which the environment can read.
    pub config: serde_json::Value,
    /// Its limits.
    pub limits: Limits,
    /// The model servers that its configuration refers to.
    pub models: Arc<dyn ModelDirectory>,
    /// The components that may run programs for it.
    pub runners: Vec<RunnerRequest>,
    /// The endpoints that its configuration grants.
    pub network: Arc<dyn Network>,
}

/// Why an environment could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The component's file cannot be read.
    #[error("failed to read the component `{path}`")]
    Component {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The environment's folder cannot be opened.
    #[error("failed to open the environment's folder `{path}`")]
    Folder {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A limit cannot work.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The component could not be compiled.
    #[error("failed to compile `{path}`")]
    Compile {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: CompileError,
    },
    /// The component needs more than its limits allow before it does anything.
    #[error("`{path}` needs {wanted} {what}, the limit `{limit}` allows {allowed}")]
    Requires {
        /// Its path.
        path: PathBuf,
        /// What it needs.
        what: &'static str,
        /// How much.
        wanted: u64,
        /// Name of the limit.
        limit: &'static str,
        /// How much that allows.
        allowed: u64,
    },
    /// The component does not fit the small engine, which its limits ask for.
    #[error("`{path}` has {what} and does not fit the small engine; `engine: heavy` or `auto` runs it")]
    Engine {
        /// Its path.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The component is not an environment: it imports what the host does not have, or lacks an export.
    #[error("`{path}` is not an environment: {message}")]
    NotAnEnvironment {
        /// Its path.
        path: PathBuf,
        /// What is missing.
        message: String,
    },
    /// The component does not run programs: it imports what there is not for it, or lacks an export.
    #[error("`{path}` is not a code runner: {message}")]
    NotACodeRunner {
        /// Its path.
        path: PathBuf,
        /// What is missing.
        message: String,
    },
    /// The environment failed when asked what it is.
    #[error("the environment `{path}` failed to describe itself: {fault}")]
    Describe {
        /// Its path.
        path: PathBuf,
        /// How it failed.
        #[source]
        fault: CallError,
    },
    /// The environment's description is not acceptable.
    #[error("the description of the environment `{path}` is not acceptable: {}", problems.join("; "))]
    Description {
        /// Its path.
        path: PathBuf,
        /// Everything that is wrong with it.
        problems: Vec<String>,
    },
    /// No instance could be made.
    #[error("failed to make an instance of `{path}`: {fault}")]
    Instance {
        /// The component's path.
        path: PathBuf,
        /// Why.
        #[source]
        fault: Fault,
    },
    /// The engine failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// An engine with what its components are linked to.
#[derive(Clone)]
struct Machine {
    engine: Engine,
    linker: Arc<Linker<State>>,
    fingerprint: [u8; 32],
}

impl Machine {
    fn start(profile: Profile, instances: u32) -> wasmtime::Result<Self> {
        let engine = profile.engine(instances)?;
        let linker = Arc::new(wasi::linker(&engine)?);
        let fingerprint = fingerprint(&engine, profile);
        Ok(Self { engine, linker, fingerprint })
    }
}

/// Code in memory, shared by servers with the same component. The lock keeps two of them from compiling it at once.
type Resident = Arc<tokio::sync::Mutex<Weak<Component>>>;

/// Runs environments.
pub struct Runtime {
    options: RuntimeOptions,
    cache: Arc<CodeCache>,
    /// Which of the pooled profiles `small` is.
    pooled: Profile,
    small: Machine,
    /// Started when the first component needs it.
    heavy: Mutex<Option<Machine>>,
    house: Arc<House>,
    seats: Seats,
    resident: Mutex<HashMap<CodeKey, Resident>>,
    /// Compilers use as much memory as they get, so they run one at a time.
    compiling: tokio::sync::Mutex<()>,
    /// For what loads code runners when they are first used.
    this: Weak<Runtime>,
}

impl Runtime {
    /// Starts the small engine. Call it in a tokio runtime whose threads will run the environments.
    pub fn new(options: RuntimeOptions) -> Result<Arc<Self>, RuntimeError> {
        let admission = Admission::new(&options.admission);
        let instances = u32::try_from(admission.room()).unwrap_or(u32::MAX - SPARE_SLOTS) + SPARE_SLOTS;
        let (pooled, small) = start_pool(instances)?;
        let cache = Arc::new(CodeCache::open(options.cache.as_deref(), options.cache_bytes));
        let threads = tokio::runtime::Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
        let seats = Seats::new(threads, options.long_calls.unwrap_or(threads.saturating_sub(1)));
        tracing::info!(
            sessions = admission.session_room(),
            calls = admission.call_room(),
            memory_mib = admission.memory.limit() >> 20,
            "room for environments"
        );
        Ok(Arc::new_cyclic(|this| Self {
            options,
            cache,
            pooled,
            small,
            heavy: Mutex::new(None),
            house: Arc::new(House::new(admission)),
            seats,
            resident: Mutex::new(HashMap::new()),
            compiling: tokio::sync::Mutex::new(()),
            this: this.clone(),
        }))
    }

    /// Loads an environment with one configuration: compiles it or takes it from the cache, checks what it requires, links
    /// it, asks it what it is, and makes the first pooled instances.
    pub async fn load(&self, request: LoadRequest) -> Result<Arc<dyn Environment>, LoadError> {
        let LoadRequest { component: path, folder, server, config, limits, models, runners, network } = request;
        limits.validate()?;
        for runner in &runners {
            runner.limits.validate()?;
        }
        let runners = Arc::new(Runners::new(runners, self.this.clone()));
        let files = open_folder(folder)?;
        let source = Arc::new(self.read(&path).await?);
        let (profile, machine, component) = self.component(&path, &source, &limits).await?;
        let digest = source.digest.to_hex().to_string();
        drop(source);
        report_imports(&server, &component, &machine.engine);

        let not_an_environment =
            |error: wasmtime::Error| LoadError::NotAnEnvironment { path: path.clone(), message: format!("{error:#}") };
        let pre = machine.linker.instantiate_pre(&component).map_err(not_an_environment)?;
        let pre = EnvironmentPre::new(pre).map_err(not_an_environment)?;
        let settings = Arc::new(Settings {
            server: Arc::new(server),
            config: config.to_string(),
            models,
            runners,
            network,
            files,
            log: self.options.log.clone(),
            line: self.seats.line(),
            memory: self.house.admission.memory.clone(),
            limits,
        });
        let description = self.describe(&path, &machine.engine, &pre, &settings, profile).await?;
        let pooled = [description.tools_run_in, description.verify_runs_in].contains(&Lifetime::Pooled);

        let loaded = Arc::new_cyclic(|this| Loaded {
            counters: Counters::default(),
            description,
            digest,
            profile,
            engine: machine.engine,
            pre,
            _component: component,
            house: self.house.clone(),
            sessions: Arc::new(Semaphore::new(settings.limits.max_sessions)),
            calls: Arc::new(Semaphore::new(settings.limits.max_concurrent_calls)),
            idle: Mutex::new(Vec::new()),
            refill: Refill::default(),
            this: this.clone(),
            settings,
        });
        self.house.add(&loaded);
        loaded.settings.runners.load_eager().await?;
        if pooled {
            loaded.prewarm().await.map_err(|fault| LoadError::Instance { path, fault })?;
        }
        Ok(Arc::new(LoadedEnvironment(loaded)))
    }

    /// Loads a component that runs programs.
    pub(crate) async fn runner(&self, request: &RunnerRequest) -> Result<Arc<Runner>, LoadError> {
        let path = &request.component;
        let limits = programs::instance_limits(&request.limits);
        let files = open_folder(programs::folder_of(path))?;
        let source = Arc::new(self.read(path).await?);
        let (profile, machine, component) = self.component(path, &source, &limits).await?;
        let not_a_runner =
            |error: wasmtime::Error| LoadError::NotACodeRunner { path: path.clone(), message: format!("{error:#}") };
        let linker = wasi::runner_linker(&machine.engine).map_err(not_a_runner)?;
        let pre = linker.instantiate_pre(&component).map_err(not_a_runner)?;
        let pre = CodeRunnerPre::new(pre).map_err(not_a_runner)?;
        let settings = Arc::new(Settings {
            server: Arc::new(programs::server_name(&request.name)),
            config: "{}".to_owned(),
            models: Arc::new(StaticModels::default()),
            runners: Arc::new(Runners::new(Vec::new(), Weak::new())),
            network: Arc::new(NoNetwork),
            files,
            log: self.options.log.clone(),
            line: self.seats.line(),
            memory: self.house.admission.memory.clone(),
            limits,
        });
        let turns = Arc::new(Semaphore::new(request.limits.max_concurrent_runs));
        Ok(Arc::new(Runner {
            engine: machine.engine,
            profile,
            pre,
            _component: component,
            house: self.house.clone(),
            settings,
            limits: request.limits.clone(),
            turns,
        }))
    }

    /// What the runtime does at this moment, and has done.
    pub fn stats(&self) -> RuntimeStats {
        let admission = &self.house.admission;
        RuntimeStats {
            live_sessions: admission.live_sessions(),
            session_room: admission.session_room(),
            live_calls: admission.live_calls(),
            call_room: admission.call_room(),
            memory_used_bytes: admission.memory.used(),
            memory_limit_bytes: admission.memory.limit(),
            servers: self.house.servers().iter().map(|server| server.stats()).collect(),
        }
    }

    async fn read(&self, path: &Path) -> Result<Source, LoadError> {
        let most = self.options.compile_limits.component_bytes;
        let file = path.to_owned();
        spawn_blocking(move || Source::read(&file, most))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| LoadError::Component { path: path.to_owned(), source })
    }

    /// The compiled component, on the engine that fits it.
    async fn component(
        &self,
        path: &Path,
        source: &Arc<Source>,
        limits: &Limits,
    ) -> Result<(Profile, Machine, Arc<Component>), LoadError> {
        let mut profile = match Profile::choose(limits, source.length) {
            Profile::Heavy => Profile::Heavy,
            Profile::Small | Profile::Dense => self.pooled,
        };
        loop {
            let machine = self.machine(profile)?;
            let component = match self.code(path, source, &machine, profile).await {
                Ok(component) => component,
                Err(LoadError::Compile { source: CompileError::Unfit(_), .. })
                    if profile.is_pooled() && limits.engine == EngineChoice::Auto =>
                {
                    profile = Profile::Heavy;
                    continue;
                }
                Err(error) => return Err(error),
            };
            // None for components that instantiate what they import, which the linker does not offer.
            if let Some(required) = component.resources_required() {
                let requires = |what, limit, wanted: u64, allowed: u64| {
                    let path = path.to_owned();
                    if wanted <= allowed {
                        Ok(())
                    } else {
                        Err(LoadError::Requires { path, what, wanted, limit, allowed })
                    }
                };
                requires("memories", "memories", u64::from(required.num_memories), limits.memories as u64)?;
                requires("tables", "tables", u64::from(required.num_tables), limits.tables as u64)?;
                let largest = required.max_initial_memory_size.unwrap_or(0).saturating_mul(64 << 10).div_ceil(1 << 20);
                requires("MiB of memory", "memory_mib", largest, limits.memory_mib)?;
                if profile.is_pooled()
                    && let Some(what) = Profile::misfit(&required)
                {
                    if limits.engine == EngineChoice::Small {
                        return Err(LoadError::Engine { path: path.to_owned(), what });
                    }
                    profile = Profile::Heavy;
                    continue;
                }
            }
            return Ok((profile, machine, component));
        }
    }

    fn machine(&self, profile: Profile) -> Result<Machine, RuntimeError> {
        if profile.is_pooled() {
            return Ok(self.small.clone());
        }
        let mut heavy = self.heavy.lock();
        if let Some(machine) = &*heavy {
            return Ok(machine.clone());
        }
        let machine = Machine::start(profile, 0).map_err(|error| start_error(profile, &error))?;
        *heavy = Some(machine.clone());
        Ok(machine)
    }

    /// Code from memory, from the cache, or from the compiler.
    async fn code(
        &self,
        path: &Path,
        source: &Arc<Source>,
        machine: &Machine,
        profile: Profile,
    ) -> Result<Arc<Component>, LoadError> {
        let key = CodeKey { component: *source.digest.as_bytes(), engine: machine.fingerprint };
        let resident = self.resident.lock().entry(key).or_default().clone();
        let mut resident = resident.lock().await;
        if let Some(component) = resident.upgrade() {
            return Ok(component);
        }

        let cached = {
            let (cache, engine) = (self.cache.clone(), machine.engine.clone());
            spawn_blocking(move || cache.get(&key).map(|code| code.load(&engine))).await.ok().flatten()
        };
        let component = match cached {
            Some(Ok(component)) => component,
            // An intact entry for this very engine: compiling again would end here again.
            Some(Err(error)) => {
                let source = CompileError::Unfit(format!("{error:#}"));
                return Err(LoadError::Compile { path: path.to_owned(), source });
            }
            None => self.compile(path, source, key, machine, profile).await?,
        };
        let component = Arc::new(component);
        *resident = Arc::downgrade(&component);
        Ok(component)
    }

    async fn compile(
        &self,
        path: &Path,
        source: &Arc<Source>,
        key: CodeKey,
        machine: &Machine,
        profile: Profile,
    ) -> Result<Component, LoadError> {
        let failed = |source| LoadError::Compile { path: path.to_owned(), source };
        let bytes = source.bytes(path.to_owned()).await;
        let bytes = bytes.map_err(|source| LoadError::Component { path: path.to_owned(), source })?;
        let code = {
            let _one_at_a_time = self.compiling.lock().await;
            tracing::info!(component = %path.display(), engine = profile.name(), "compiling");
            compile(&self.options.compiler, &self.options.compile_limits, profile, &bytes).await.map_err(failed)?
        };
        let (cache, engine) = (self.cache.clone(), machine.engine.clone());
        let load = move || {
            cache.put(&key, &code);
            Code::from_compiler(code).load(&engine).map_err(|error| format!("{error:#}"))
        };
        let loaded = spawn_blocking(load).await.unwrap_or_else(|error| Err(error.to_string()));
        loaded.map_err(|message| failed(CompileError::Unfit(message)))
    }

    async fn describe(
        &self,
        path: &Path,
        engine: &Engine,
        pre: &EnvironmentPre<State>,
        settings: &Arc<Settings>,
        profile: Profile,
    ) -> Result<Description, LoadError> {
        let failed = |fault| LoadError::Instance { path: path.to_owned(), fault };
        let place = self
            .house
            .call_place(cost(profile), DESCRIBE_WAIT)
            .await
            .ok_or_else(|| failed(Fault::busy("this host has no room for another instance", 1)))?;
        let live = Live::make(engine, pre, settings, STATELESS_SEED, place, None).await.map_err(failed)?;
        let description =
            live.describe().await.map_err(|fault| LoadError::Describe { path: path.to_owned(), fault })?;
        describe::read(description).map_err(|problems| LoadError::Description { path: path.to_owned(), problems })
    }
}

/// Starts the pooled engine. Where the address space does not suffice, slots become smaller, and then fewer.
fn start_pool(mut instances: u32) -> Result<(Profile, Machine), RuntimeError> {
    let mut profile = Profile::pooled_for(instances);
    loop {
        match Machine::start(profile, instances) {
            Ok(machine) => return Ok((profile, machine)),
            Err(error) if profile == Profile::Small => {
                tracing::debug!(instances, error = format!("{error:#}"), "no pool of wide slots");
                profile = Profile::Dense;
            }
            Err(error) if instances > 2 * SPARE_SLOTS => {
                tracing::warn!(instances, error = format!("{error:#}"), "no pool of this size, trying half of it");
                instances /= 2;
            }
            Err(error) => return Err(start_error(profile, &error)),
        }
    }
}

fn start_error(profile: Profile, error: &wasmtime::Error) -> RuntimeError {
    RuntimeError { profile: profile.name(), message: format!("{error:#}") }
}

fn open_folder(folder: PathBuf) -> Result<Files, LoadError> {
    let open = |folder: &Path| {
        if files::is_root(folder) {
            return Err(io::Error::other("the root of the file system is no environment's own folder"));
        }
        Files::open(folder)
    };
    open(&folder).map_err(|source| LoadError::Folder { path: folder, source })
}

fn report_imports(server: &ServerName, component: &Component, engine: &Engine) {
    let imports: Vec<String> = component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect();
    let wasi: Vec<&str> = imports.iter().map(String::as_str).filter(|name| name.starts_with("wasi:")).collect();
    tracing::info!(%server, wasi = wasi.join(" "), "the environment imports");
}
