//! The kernels through g++, for machines without a GPU.

#[cfg(not(feature = "emulator"))]
pub fn compile(
    _: &[super::source::File],
    _: &[super::nvrtc::Image],
    _: &std::path::Path,
) -> Result<(), String> {
    Ok(())
}

#[cfg(feature = "emulator")]
pub use enabled::compile;

/// Every file is built twice: to run, and to be watched at every access to memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    Plain,
    Watched,
}

impl Build {
    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Watched => "_watched",
        }
    }

    /// The name under which a kernel of one precision is linked.
    pub fn symbol(self, kernel: &str, precision: usize) -> String {
        format!(
            "striate_{kernel}_{}{}",
            super::nvrtc::PRECISIONS[precision].to_lowercase(),
            self.suffix()
        )
    }

    /// The function that tells where a file's shared memory lies.
    pub fn range(self, file: &str, precision: usize) -> String {
        format!("striate_range_{file}_{precision}{}", self.suffix())
    }

    /// The section that holds it.
    #[cfg(feature = "emulator")]
    fn section(self, file: &str, precision: usize) -> String {
        format!("striate_shared_{file}_{precision}{}", self.suffix())
    }
}

#[cfg(feature = "emulator")]
mod enabled {
    use super::super::nvrtc::Image;
    use super::super::source::{File, Kernel, Kind};
    use super::Build;
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    /// Of a kernel, and one more; the driver has the same number.
    const MOST_PARAMETERS: usize = 24;

    /// One translation unit per file, precision and build, and the emulator itself, into one static library; and a driver that
    /// runs them, `driver/libcuda.so`.
    pub fn compile(files: &[File], images: &[Image], out: &Path) -> Result<(), String> {
        let manifest = std::env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?;
        let mut watched = compiler(&manifest);
        watched
            .opt_level(1)
            // The compiler calls a hook (`hooks.cpp`) before each access; lines, so that a fault has a place (in the format
            // that addr2line reads best).
            .flag("-fsanitize=thread")
            .flag("-g1")
            .flag("-gdwarf-4")
            .flag("-fno-exceptions")
            .flag("-fno-threadsafe-statics");
        units(files, out, &manifest, Build::Watched, &mut watched)?;
        let objects = watched
            .try_compile_intermediates()
            .map_err(|e| format!("the emulator's watched kernels: {e}"))?;
        let mut plain = compiler(&manifest);
        plain
            .opt_level(2)
            // A misaligned access is a fault on a card: here it stops the program.
            .flag("-fsanitize=alignment")
            .flag("-fsanitize-undefined-trap-on-error")
            .objects(objects);
        for part in [
            "emulator",
            "warpgroup",
            "boxes",
            "hooks",
            "races",
            "traffic",
        ] {
            plain.file(format!("{manifest}/src/device/emulator/{part}.cpp"));
        }
        units(files, out, &manifest, Build::Plain, &mut plain)?;
        plain
            .try_compile("striate_emulator")
            .map_err(|e| format!("the emulator's kernels: {e}"))?;
        driver(files, images, out, &manifest)
    }

    fn compiler(manifest: &str) -> cc::Build {
        let mut build = cc::Build::new();
        build
            .cpp(true)
            .std("c++17")
            .debug(false)
            .warnings(false)
            .flag("-ffp-contract=off")
            // As nvcc, which lets numbers be read as other numbers.
            .flag("-fno-strict-aliasing")
            .flag("-w")
            .flag("-Wno-psabi")
            .include(format!("{manifest}/src/device/emulator"))
            .include(format!("{manifest}/kernels"));
        if multiplies_and_adds() {
            // Else each fmaf is a call.
            build.flag("-mfma");
        }
        build
    }

    /// Whether this machine, on which the tests will run, has an instruction for fmaf.
    fn multiplies_and_adds() -> bool {
        #[cfg(target_arch = "x86_64")]
        return std::arch::is_x86_feature_detected!("fma");
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }

    /// Writes the translation units and adds them.
    fn units(
        files: &[File],
        out: &Path,
        manifest: &str,
        build: Build,
        to: &mut cc::Build,
    ) -> Result<(), String> {
        for file in files {
            for precision in file.precisions.clone() {
                let path = out.join(format!("{}_{precision}{}.cpp", file.name, build.suffix()));
                let text = unit(file, precision, manifest, build);
                // Untouched when nothing changed.
                if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
                    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
                }
                to.file(path);
            }
        }
        Ok(())
    }

    fn driver(files: &[File], images: &[Image], out: &Path, manifest: &str) -> Result<(), String> {
        let (table, library) = (out.join("entries.cpp"), out.join("driver/libcuda.so"));
        fs::write(&table, entries(files, images)?).map_err(|e| format!("entries.cpp: {e}"))?;
        fs::create_dir_all(out.join("driver")).map_err(|e| format!("driver: {e}"))?;
        let status = cc::Build::new()
            .cpp(true)
            .cargo_metadata(false)
            .get_compiler()
            .to_command()
            .args(["-std=c++17", "-O2", "-shared", "-fPIC", "-w", "-o"])
            .arg(&library)
            .arg(format!("{manifest}/src/device/emulator/driver.cpp"))
            .arg(&table)
            .arg(out.join("libstriate_emulator.a"))
            .status()
            .map_err(|e| format!("the driver without a card: {e}"))?;
        if !status.success() {
            return Err("the driver without a card: g++ failed".into());
        }
        println!(
            "cargo:rustc-env=STRIATE_DRIVER={}",
            out.join("driver").display()
        );
        Ok(())
    }

    /// Which kernels each piece of machine code holds; the driver knows the code by its hash.
    fn entries(files: &[File], images: &[Image]) -> Result<String, String> {
        let mut declarations =
            String::from("#include <cstddef>\n#include <cstdint>\nextern \"C\" {\n");
        let mut rows = String::new();
        for image in images.iter().filter(|i| i.capability == 90 || i.ptx) {
            let Some(file) = files.iter().find(|f| f.name == image.module) else {
                continue;
            };
            let path = image
                .deflated
                .with_extension(if image.ptx { "ptx" } else { "cubin" });
            let bytes = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &b| {
                (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            let shared = Build::Plain.range(&file.name, image.precision);
            let _ = writeln!(declarations, "void {shared}(uint32_t**);");
            for kernel in &file.kernels {
                let run = Build::Plain.symbol(&kernel.name, image.precision);
                let _ = writeln!(declarations, "void {run}(void**);");
                if kernel.parameters.len() >= MOST_PARAMETERS {
                    return Err(format!("{}: too many parameters", kernel.name));
                }
                let sizes = kernel.parameters.iter().map(|p| match p.kind {
                    Kind::TensorMap => 128,
                    Kind::Int | Kind::Float => 4,
                    _ => 8,
                });
                let of_kernel = image.resources.iter().find(|r| r.kernel == kernel.name);
                let _ = writeln!(
                    rows,
                    "    {{{hash}u, \"{}\", {{{}}}, {}, {}, {}, {}, {run}, {shared}}},",
                    kernel.name,
                    sizes
                        .map(|s: i32| s.to_string())
                        .collect::<Vec<_>>()
                        .join(", "),
                    kernel.resident,
                    kernel.cluster,
                    of_kernel.map_or(0, |r| r.shared),
                    kernel.dynamic,
                );
            }
        }
        Ok(format!(
            "{declarations}}}\nstruct Entry {{ uint64_t code; const char* name; int sizes[{MOST_PARAMETERS}]; int resident, cluster, shared_bytes, dynamic_bytes; void (*run)(void**); void (*shared)(uint32_t**); }};\n\
             extern const Entry striate_entries[] = {{\n{rows}    {{0, \"\", {{}}, 0, 0, 0, 0, nullptr, nullptr}}}};\n\
             extern const size_t striate_entry_count = sizeof striate_entries / sizeof striate_entries[0] - 1;\n"
        ))
    }

    fn unit(file: &File, precision: usize, manifest: &str, build: Build) -> String {
        let section = build.section(&file.name, precision);
        let watched = match build {
            Build::Plain => "",
            Build::Watched => "#define WATCHED\n",
        };
        let suffix = build.suffix();
        let mut text = format!(
            "{watched}#define STRIATE_SHARED \"{section}\"\n#define PRECISION {precision}\n#include \"cuda.h\"\n"
        );
        // `extern "C"` names are global even in a namespace without a name.
        for Kernel { name, .. } in &file.kernels {
            let _ = writeln!(text, "#define {name} {name}_{precision}_body{suffix}");
        }
        let _ = writeln!(
            text,
            "namespace {{\n#include \"{manifest}/{}\"\n}}\nextern \"C\" {{",
            file.path.display()
        );
        let _ = writeln!(
            text,
            "extern uint32_t __start_{section}[] __attribute__((weak));\nextern uint32_t __stop_{section}[] __attribute__((weak));\nvoid {}(uint32_t** range) {{ range[0] = __start_{section}; range[1] = __stop_{section}; }}",
            build.range(&file.name, precision)
        );
        for kernel in &file.kernels {
            let arguments: Vec<String> = kernel
                .parameters
                .iter()
                .enumerate()
                .map(|(i, p)| {
                    let kind = match p.kind {
                        Kind::InFloat => "const float*",
                        Kind::OutFloat => "float*",
                        Kind::InWord => "const u32*",
                        Kind::OutWord => "u32*",
                        Kind::InMap => "const Map*",
                        Kind::OutMap => "Map*",
                        Kind::TensorMap => "TensorMap",
                        Kind::Int => "int",
                        Kind::Float => "float",
                    };
                    format!("*({kind}*)a[{i}]")
                })
                .collect();
            let _ = writeln!(
                text,
                "void {}(void** a) {{ {}({}); }}",
                build.symbol(&kernel.name, precision),
                kernel.name,
                arguments.join(", ")
            );
        }
        text.push_str("}\n");
        text
    }
}
