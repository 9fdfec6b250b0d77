//! Kernels to machine code and Rust: reads `kernels/*.cu`, compiles them with NVRTC (no GPU, no nvcc), and writes a typed
//! function per kernel, the machine code, and the table of registers. Without NVRTC it warns and the engine runs on the CPU.

#[path = "build/emulator.rs"]
mod emulator;
#[path = "build/nvrtc.rs"]
mod nvrtc;
#[path = "build/sass.rs"]
mod sass;
#[path = "build/source.rs"]
mod source;
#[path = "build/write.rs"]
mod write;

use std::path::PathBuf;
use std::{env, fs, process};

fn main() {
    for path in ["build.rs", "build", "kernels", "src/device/emulator"] {
        println!("cargo:rerun-if-changed={path}");
    }
    for name in [nvrtc::DIRECTORY, nvrtc::REQUIRED, "CUDA_HOME", "CUDA_PATH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    if let Err(message) = build() {
        println!("cargo::error={}", message.replace('\n', " | "));
        process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let files = source::read("kernels", &[])?;
    let (images, missing) = match nvrtc::open() {
        Ok(compiler) => (compiler.compile_all(&files, &out)?, None),
        Err(why) if env::var_os(nvrtc::REQUIRED).is_some() => return Err(why),
        Err(why) => {
            println!(
                "cargo:warning=no CUDA kernels in this build: {}",
                why.replace('\n', " ")
            );
            (Vec::new(), Some(why))
        }
    };
    let emulated = env::var_os("CARGO_FEATURE_EMULATOR").is_some();
    let mut all = files;
    if emulated {
        // Faults that the emulator's own tests plant.
        all.extend(source::read("src/device/emulator", &["kernels"])?);
        emulator::compile(&all, &images, &out)?;
    }
    let text = write::kernels(&all, &images, missing.as_deref(), emulated)?;
    fs::write(out.join("kernels.rs"), text).map_err(|e| format!("kernels.rs: {e}"))
}
