//! Opening and closing block, so they run on Node's thread pool; a promise tells when they are done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use eraft_core::engine::{
    self, Attachment, Engine as CoreEngine, EngineError, ErrorCode, Notify, Options,
};
use napi::bindgen_prelude::{Function, Unknown};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Error, JsError, Result, Task};

use crate::convert::to_js;
use crate::engine::Engine;

/// The callback as something that any thread may call. Weak: it never keeps the process alive.
pub fn notify_of(on_progress: &Function<'_, (), ()>) -> Result<Notify> {
    let call = on_progress
        .build_threadsafe_function::<()>()
        .callee_handled::<false>()
        .weak::<true>()
        .build()?;
    // A refusal means that the environment is closing: nobody is left to be told.
    Ok(Box::new(move || {
        let _ = call.call((), ThreadsafeFunctionCallMode::NonBlocking);
    }))
}

/// Runs what may panic where a panic would end the process.
fn guarded<T>(
    work: impl FnOnce() -> std::result::Result<T, EngineError>,
) -> std::result::Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(EngineError::new(
            ErrorCode::Failed,
            "a defect in the storage engine; see the standard error output",
        ))
    })
}

/// The error as the promise rejects with it: an `Error` with our code.
fn rejection(env: Env, error: EngineError) -> Error {
    let thrown: Unknown<'_> = JsError::from(to_js(error)).into_unknown(env);
    Error::from(thrown)
}

pub struct OpenTask {
    pub options: Option<Options>,
    pub notify: Option<Notify>,
}

impl Task for OpenTask {
    type Output = std::result::Result<Arc<Attachment>, EngineError>;
    type JsValue = Engine;

    fn compute(&mut self) -> Result<Self::Output> {
        let (options, notify) = (self.options.take(), self.notify.take());
        Ok(guarded(|| {
            let options = options.ok_or_else(EngineError::closed)?;
            let engine = CoreEngine::open(options)?;
            Attachment::new(engine, notify).map(Arc::new)
        }))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<Engine> {
        match output {
            Ok(attachment) => Engine::adopt(&env, attachment, true),
            Err(error) => Err(rejection(env, error)),
        }
    }
}

pub struct CloseTask {
    pub attachment: Arc<Attachment>,
    /// The opener closes the engine for everybody; others only let go of it.
    pub owner: bool,
}

impl Task for CloseTask {
    type Output = std::result::Result<(), EngineError>;
    type JsValue = ();

    fn compute(&mut self) -> Result<Self::Output> {
        Ok(guarded(|| {
            if self.owner {
                self.attachment.engine().close(true);
            }
            self.attachment.detach();
            Ok(())
        }))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<()> {
        output.map_err(|error| rejection(env, error))
    }
}

pub struct RestoreTask {
    pub file: PathBuf,
    pub conf: Vec<u8>,
    pub options: Option<Options>,
}

impl Task for RestoreTask {
    type Output = std::result::Result<(), EngineError>;
    type JsValue = ();

    fn compute(&mut self) -> Result<Self::Output> {
        let (conf, options) = (std::mem::take(&mut self.conf), self.options.take());
        Ok(guarded(|| {
            let options = options.ok_or_else(EngineError::closed)?;
            engine::restore_folder(&self.file, conf, options)
        }))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<()> {
        output.map_err(|error| rejection(env, error))
    }
}

pub struct InspectTask {
    pub path: PathBuf,
}

impl Task for InspectTask {
    type Output = std::result::Result<String, EngineError>;
    type JsValue = String;

    fn compute(&mut self) -> Result<Self::Output> {
        Ok(guarded(|| engine::inspect_files(&self.path)))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<String> {
        output.map_err(|error| rejection(env, error))
    }
}
