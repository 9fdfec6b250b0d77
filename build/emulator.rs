//! The kernels through g++, for machines without a GPU.

#[cfg(not(feature = "emulator"))]
pub fn compile(_: &[super::source::File], _: &std::path::Path) -> Result<(), String> {
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
    use super::super::source::{File, Kernel, Kind};
    use super::{range, section, symbol};
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    /// One translation unit per file and precision, and the emulator itself, into one static library.
    pub fn compile(files: &[File], out: &Path) -> Result<(), String> {
        let manifest = std::env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?;
        let mut build = cc::Build::new();
        build
            .cpp(true)
            .std("c++17")
            .opt_level(2)
            .debug(false)
            .warnings(false)
            .flag("-ffp-contract=off")
            .flag("-w")
            .include(format!("{manifest}/src/device/emulator"))
            .include(format!("{manifest}/kernels"))
            .file(format!("{manifest}/src/device/emulator/emulator.cpp"));
        for file in files {
            for precision in 0..if file.by_precision { 3 } else { 1 } {
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
            .map_err(|e| format!("the emulator's kernels: {e}"))
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
                        Kind::Int => "int",
                        Kind::Word => "u32",
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
