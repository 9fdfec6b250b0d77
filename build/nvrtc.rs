//! NVRTC through cudarc: found, loaded and driven without a GPU.

use super::source::File;
use cudarc::nvrtc::{result, sys};
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Environment: where to look first.
pub const DIRECTORY: &str = "STRIATE_NVRTC_DIR";
/// Environment: fail without NVRTC.
pub const REQUIRED: &str = "STRIATE_REQUIRE_NVRTC";

/// Architecture, compute capability, whether PTX. A cubin runs on its major version from its minor version on; the PTX is for
/// what comes later.
pub const TARGETS: [(&str, u32, bool); 4] = [
    ("sm_80", 80, false),
    ("sm_90", 90, false),
    ("sm_100", 100, false),
    ("compute_80", 80, true),
];

/// Of files that are for Hopper alone.
pub const HOPPER: [(&str, u32, bool); 1] = [("sm_90a", 90, false)];

/// Names of the precisions, in the order of `striate.cuh`.
pub const PRECISIONS: [&str; 3] = ["F32", "TF32", "BF16"];

/// Machine code of one file.
pub struct Image {
    pub module: String,
    pub precision: usize,
    pub arch: &'static str,
    pub capability: u32,
    pub ptx: bool,
    /// The code deflated, as the program carries it; as it was, it lies beside, with the extension `cubin` or `ptx`.
    pub deflated: PathBuf,
    pub resources: Vec<Resources>,
}

/// What ptxas says of a kernel.
#[derive(Clone)]
pub struct Resources {
    pub kernel: String,
    pub registers: usize,
    pub spills: usize,
    pub shared: usize,
}

/// A loaded NVRTC.
pub struct Compiler {
    version: (i32, i32),
}

/// Finds and loads NVRTC: `$STRIATE_NVRTC_DIR`, `target/nvrtc` (a `pip install --target`), `$CUDA_HOME`, `$CUDA_PATH`,
/// /usr/local/cuda, then whatever the system's loader finds.
pub fn open() -> Result<Compiler, String> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let mut roots: Vec<PathBuf> = env::var_os(DIRECTORY)
        .map(PathBuf::from)
        .into_iter()
        .collect();
    roots.push(PathBuf::from(manifest).join("target/nvrtc"));
    for name in ["CUDA_HOME", "CUDA_PATH"] {
        roots.extend(env::var_os(name).map(PathBuf::from));
    }
    roots.push("/usr/local/cuda".into());
    for directory in roots.iter().flat_map(|r| library_directories(r)) {
        if load_from(&directory)? {
            println!("cargo:rerun-if-changed={}", directory.display());
            break;
        }
    }
    // SAFETY: asks the loader whether the library is there.
    if !unsafe { sys::is_culib_present() } {
        let shown: Vec<String> = roots.iter().map(|r| r.display().to_string()).collect();
        return Err(format!(
            "no NVRTC (libnvrtc.so.12) under {}; get it with `pip install --no-deps --target target/nvrtc \
             nvidia-cuda-nvrtc-cu12==12.9.86`, then `touch build.rs` and build again",
            shown.join(", ")
        ));
    }
    let (mut major, mut minor) = (0, 0);
    // SAFETY: both pointers are valid for the call.
    unsafe { sys::nvrtcVersion(&mut major, &mut minor) };
    Ok(Compiler {
        version: (major, minor),
    })
}

fn library_directories(root: &Path) -> Vec<PathBuf> {
    [
        "nvidia/cuda_nvrtc/lib",
        "lib64",
        "lib",
        "targets/x86_64-linux/lib",
        "",
    ]
    .iter()
    .map(|d| root.join(d))
    .collect()
}

/// Loads `libnvrtc.so.12` with its builtins by path, so that the later look-up by name finds it loaded.
fn load_from(directory: &Path) -> Result<bool, String> {
    if !directory.join("libnvrtc.so.12").exists() {
        return Ok(false);
    }
    let entries = fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut names: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| {
            let name = p
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            (name.starts_with("libnvrtc-builtins.so.") || name == "libnvrtc.so.12")
                && !name.contains("alt")
        })
        .collect();
    names.sort_by_key(|p| !p.to_string_lossy().contains("builtins"));
    for name in &names {
        // SAFETY: NVIDIA's libraries may be loaded at any time.
        let library = unsafe { libloading::Library::new(name) };
        std::mem::forget(library.map_err(|e| format!("{}: {e}", name.display()))?);
    }
    Ok(true)
}

struct Job<'a> {
    file: &'a File,
    precision: usize,
    target: (&'static str, u32, bool),
}

impl Compiler {
    /// Every file for every precision that it knows and every target.
    pub fn compile_all(&self, files: &[File], out: &Path) -> Result<Vec<Image>, String> {
        // Shared by all profiles and feature sets: target/<profile>/build/<package>/out lies four below.
        let kept = out.ancestors().nth(4).unwrap_or(out).join("kernels");
        fs::create_dir_all(&kept).map_err(|e| format!("{}: {e}", kept.display()))?;
        let out = &kept;
        let mut jobs = Vec::new();
        for file in files {
            for precision in file.precisions.clone() {
                let targets = if file.hopper { &HOPPER[..] } else { &TARGETS };
                for &target in targets {
                    jobs.push(Job {
                        file,
                        precision,
                        target,
                    });
                }
            }
        }
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let image = self.image(job, out);
                        if let Ok(mut done) = done.lock() {
                            done.push(image);
                        }
                    }
                });
            }
        });
        let images = done.into_inner().map_err(|e| e.to_string())?;
        let mut images = images.into_iter().collect::<Result<Vec<Image>, String>>()?;
        images.sort_by_key(|i| (i.module.clone(), i.precision, i.capability, i.ptx));
        Ok(images)
    }

    /// Compiles one, or finds it compiled before.
    fn image(&self, job: &Job, out: &Path) -> Result<Image, String> {
        let (arch, capability, ptx) = job.target;
        let mut hash = DefaultHasher::new();
        (self.version, &job.file.everything, arch, job.precision).hash(&mut hash);
        let precision = PRECISIONS[job.precision];
        let stem = format!(
            "{}.{precision}.{arch}.{:016x}",
            job.file.name,
            hash.finish()
        );
        let path = out.join(format!("{stem}.{}", if ptx { "ptx" } else { "cubin" }));
        let log_path = out.join(format!("{stem}.log"));
        let deflated = out.join(format!("{stem}.z"));
        let log = match fs::read_to_string(&log_path) {
            Ok(log) if path.exists() && deflated.exists() => log,
            _ => {
                let (bytes, log) = compile(job)?;
                // Two builds may run at once: each file appears whole.
                let write = |path: &Path, bytes: &[u8]| {
                    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
                    fs::write(&beside, bytes)
                        .and_then(|()| fs::rename(&beside, path))
                        .map_err(|e| format!("{}: {e}", path.display()))
                };
                write(&path, &bytes)?;
                write(&deflated, &deflate(&bytes).map_err(|e| e.to_string())?)?;
                write(&log_path, log.as_bytes())?;
                log
            }
        };
        let resources = resources(&log)?;
        for r in resources.iter().filter(|r| r.spills > 0) {
            println!(
                "cargo:warning={} ({precision}, {arch}) spills {} bytes",
                r.kernel, r.spills
            );
        }
        Ok(Image {
            module: job.file.name.clone(),
            precision: job.precision,
            arch,
            capability,
            ptx,
            deflated,
            resources,
        })
    }
}

fn deflate(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn compile(job: &Job) -> Result<(Vec<u8>, String), String> {
    let (arch, _, ptx) = job.target;
    let shown = job.file.path.display().to_string();
    let text = fs::read(&job.file.path).map_err(|e| format!("{shown}: {e}"))?;
    let nul = |e: std::ffi::NulError| format!("{shown}: {e}");
    let (text, name) = (
        CString::new(text).map_err(nul)?,
        CString::new(shown.clone()).map_err(nul)?,
    );
    let options = [
        format!("--gpu-architecture={arch}"),
        "--std=c++17".into(),
        "-default-device".into(),
        "-lineinfo".into(),
        "--ptxas-options=-v".into(),
        "--include-path=kernels".into(),
        format!("-DPRECISION={}", job.precision),
    ];
    let fail = |e: result::NvrtcError| format!("{shown} for {arch}: {e}");
    let program = result::create_program(&text, Some(&name)).map_err(fail)?;
    // SAFETY: the program lives until it is destroyed below, and nothing else uses it.
    unsafe {
        let compiled = result::compile_program(program, &options);
        let log = result::get_program_log(program).map_err(fail)?;
        let log: String = log
            .iter()
            .map(|&c| c as u8 as char)
            .take_while(|&c| c != '\0')
            .collect();
        let bytes = match compiled {
            Err(e) => Err(format!("{shown} for {arch}: {e}\n{log}")),
            Ok(()) if ptx => result::get_ptx(program).map_err(fail).map(|ptx| {
                let bytes = ptx.into_iter().map(|c| c as u8);
                bytes.take_while(|&b| b != 0).collect()
            }),
            Ok(()) => cubin(program).map_err(fail),
        };
        result::destroy_program(program).map_err(fail)?;
        Ok((bytes?, log))
    }
}

/// # Safety
/// The program must be compiled for a real architecture.
unsafe fn cubin(program: sys::nvrtcProgram) -> Result<Vec<u8>, result::NvrtcError> {
    let mut size = 0;
    // SAFETY: the size is asked for before the buffer is filled.
    unsafe {
        sys::nvrtcGetCUBINSize(program, &mut size).result()?;
        let mut bytes = vec![0u8; size];
        sys::nvrtcGetCUBIN(program, bytes.as_mut_ptr().cast()).result()?;
        Ok(bytes)
    }
}

/// Registers, spills and shared memory per kernel, from the log of `ptxas -v`; anything else there is an error.
fn resources(log: &str) -> Result<Vec<Resources>, String> {
    let mut found: Vec<Resources> = Vec::new();
    let mut odd = String::new();
    for line in log.lines() {
        let number = |unit: &str| -> usize {
            let before = line.split(unit).next().unwrap_or_default();
            before
                .rsplit(|c: char| !c.is_ascii_digit())
                .find(|w| !w.is_empty())
                .and_then(|w| w.parse().ok())
                .unwrap_or(0)
        };
        if let Some(rest) = line.split("Compiling entry function '").nth(1) {
            let kernel = rest.split('\'').next().unwrap_or_default().to_owned();
            found.push(Resources {
                kernel,
                registers: 0,
                spills: 0,
                shared: 0,
            });
        } else if let Some(last) = found.last_mut() {
            if line.contains("bytes spill stores") {
                last.spills = number(" bytes spill stores") + number(" bytes stack frame");
            } else if line.contains("Used ") && line.contains(" registers") {
                last.registers = number(" registers");
                last.shared = if line.contains(" bytes smem") {
                    number(" bytes smem")
                } else {
                    0
                };
            }
        }
        // Such as products of warpgroups that wait for each other.
        if line.contains("warning") || line.contains("Potential Performance Loss") {
            let _ = writeln!(odd, "{line}");
        }
    }
    if odd.is_empty() {
        found.sort_by(|a, b| a.kernel.cmp(&b.kernel));
        Ok(found)
    } else {
        Err(odd)
    }
}
