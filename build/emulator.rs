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

/// The name under which a kernel of one precision is linked.
pub fn symbol(kernel: &str, precision: usize) -> String {
    format!(
        "striate_{kernel}_{}",
        super::nvrtc::PRECISIONS[precision].to_lowercase()
    )
}

/// The function that tells where a file's shared memory lies.
pub fn range(file: &str, precision: usize) -> String {
    format!("striate_range_{file}_{precision}")
}

/// The section that holds it.
#[cfg(feature = "emulator")]
fn section(file: &str, precision: usize) -> String {
    format!("striate_shared_{file}_{precision}")
}

#[cfg(feature = "emulator")]
mod enabled {
    use super::super::nvrtc::Image;
    use super::super::source::{File, Kernel, Kind};
    use super::{range, section, symbol};
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    /// One translation unit per file and precision, and the emulator itself, into one static library; and a driver that runs
    /// them, `driver/libcuda.so`.
    pub fn compile(files: &[File], images: &[Image], out: &Path) -> Result<(), String> {
        let manifest = std::env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?;
        let mut build = cc::Build::new();
        build
            .cpp(true)
            .std("c++17")
            .opt_level(2)
            .debug(false)
            .warnings(false)
            .flag("-ffp-contract=off")
            // As nvcc, which lets numbers be read as other numbers.
            .flag("-fno-strict-aliasing")
            // A misaligned access is a fault on a card: here it stops the program.
            .flag("-fsanitize=alignment")
            .flag("-fsanitize-undefined-trap-on-error")
            .flag("-w")
            .include(format!("{manifest}/src/device/emulator"))
            .include(format!("{manifest}/kernels"))
            .file(format!("{manifest}/src/device/emulator/emulator.cpp"))
            .file(format!("{manifest}/src/device/emulator/warpgroup.cpp"));
        for file in files {
            for precision in file.precisions.clone() {
                let path = out.join(format!("{}_{precision}.cpp", file.name));
                let text = unit(file, precision, &manifest);
                // Untouched when nothing changed.
                if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
                    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
                }
                build.file(path);
            }
        }
        build
            .try_compile("striate_emulator")
            .map_err(|e| format!("the emulator's kernels: {e}"))?;
        driver(files, images, out, &manifest)
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
            let shared = range(&file.name, image.precision);
            let _ = writeln!(declarations, "void {shared}(uint32_t**);");
            for kernel in &file.kernels {
                let run = symbol(&kernel.name, image.precision);
                let _ = writeln!(declarations, "void {run}(void**);");
                let of_kernel = image.resources.iter().find(|r| r.kernel == kernel.name);
                let _ = writeln!(
                    rows,
                    "    {{{hash}u, \"{}\", {}, {}, {}, {}, {run}, {shared}}},",
                    kernel.name,
                    kernel.parameters.len(),
                    kernel.resident,
                    of_kernel.map_or(0, |r| r.shared),
                    kernel.dynamic,
                );
            }
        }
        Ok(format!(
            "{declarations}}}\nstruct Entry {{ uint64_t code; const char* name; int parameters, resident, shared_bytes, dynamic_bytes; void (*run)(void**); void (*shared)(uint32_t**); }};\n\
             extern const Entry striate_entries[] = {{\n{rows}    {{0, \"\", 0, 0, 0, 0, nullptr, nullptr}}}};\n\
             extern const size_t striate_entry_count = sizeof striate_entries / sizeof striate_entries[0] - 1;\n"
        ))
    }

    fn unit(file: &File, precision: usize, manifest: &str) -> String {
        let section = section(&file.name, precision);
        let mut text = format!(
            "#define STRIATE_SHARED \"{section}\"\n#define PRECISION {precision}\n#include \"cuda.h\"\n"
        );
        // `extern "C"` names are global even in a namespace without a name.
        for Kernel { name, .. } in &file.kernels {
            let _ = writeln!(text, "#define {name} {name}_{precision}_body");
        }
        let _ = writeln!(
            text,
            "namespace {{\n#include \"{manifest}/{}\"\n}}\nextern \"C\" {{",
            file.path.display()
        );
        let _ = writeln!(
            text,
            "extern uint32_t __start_{section}[] __attribute__((weak));\nextern uint32_t __stop_{section}[] __attribute__((weak));\nvoid {}(uint32_t** range) {{ range[0] = __start_{section}; range[1] = __stop_{section}; }}",
            range(&file.name, precision)
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
                        Kind::Int => "int",
                        Kind::Float => "float",
                    };
                    format!("*({kind}*)a[{i}]")
                })
                .collect();
            let _ = writeln!(
                text,
                "void {}(void** a) {{ {}({}); }}",
                symbol(&kernel.name, precision),
                kernel.name,
                arguments.join(", ")
            );
        }
        text.push_str("}\n");
        text
    }
}
