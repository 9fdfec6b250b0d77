//! The Rust side of the kernels: one typed function each, the constants, the machine code.

use super::emulator::Build;
use super::nvrtc::Image;
use super::source::{File, Kernel, Kind};
use std::fmt::Write as _;

/// All of `kernels.rs`.
pub fn kernels(
    files: &[File],
    images: &[Image],
    missing: Option<&str>,
    emulated: bool,
) -> Result<String, String> {
    let mut text = String::new();
    for file in files {
        module(&mut text, file, emulated);
    }
    let _ = writeln!(
        text,
        "/// Why there is no machine code in this build, if there is none.\npub const MISSING: Option<&str> = {missing:?};"
    );
    text.push_str(
        "/// Machine code of every file for every target.\npub static IMAGES: &[Image] = &[\n",
    );
    for image in images {
        let _ = writeln!(
            text,
            "    Image {{ module: {:?}, precision: {}, arch: {:?}, capability: {}, ptx: {}, deflated: include_bytes!({:?}) }},",
            image.module, image.precision, image.arch, image.capability, image.ptx, image.deflated
        );
    }
    text.push_str("];\n/// All of them.\n#[cfg(test)]\npub static KERNELS: &[&Kernel] = &[\n");
    for file in files {
        for kernel in &file.kernels {
            let _ = writeln!(text, "    &{}::{},", file.name, kernel.name.to_uppercase());
        }
    }
    text.push_str("];\n");
    let what = "What every kernel takes on every architecture, as `kernels/resources.csv` has it.";
    constant(&mut text, "RESOURCES", what, &resources(files, images));
    let what = "What every kernel's machine code consists of, as `kernels/sass.csv` has it.";
    constant(&mut text, "SASS", what, &super::sass::table(images)?);
    Ok(text)
}

/// A table for the tests.
fn constant(text: &mut String, name: &str, what: &str, lines: &[String]) {
    let _ = writeln!(
        text,
        "/// {what}\n#[cfg(test)]\npub const {name}: &str = \"\\"
    );
    for line in lines {
        let _ = writeln!(text, "{line}\\n\\");
    }
    text.push_str("\";\n");
}

fn resources(files: &[File], images: &[Image]) -> Vec<String> {
    let kernels = || files.iter().flat_map(|f| &f.kernels);
    let mut lines = vec!["kernel,precision,arch,registers,spilled_bytes,shared_bytes".to_owned()];
    for image in images.iter().filter(|i| !i.ptx) {
        for r in &image.resources {
            let dynamic = kernels()
                .find(|k| k.name == r.kernel)
                .map_or(0, |k| k.dynamic);
            lines.push(format!(
                "{},{},{},{},{},{}",
                r.kernel,
                super::nvrtc::PRECISIONS[image.precision].to_lowercase(),
                image.arch,
                r.registers,
                r.spills,
                r.shared + dynamic
            ));
        }
    }
    lines
}

fn module(text: &mut String, file: &File, emulated: bool) {
    let _ = writeln!(
        text,
        "/// `{}`.\n#[allow(dead_code, unused_imports, clippy::too_many_arguments)]\npub mod {} {{\n    use super::{{Arg, Kernel}};\n    use crate::device::{{Device, MapView, MapViewMut, TensorMap, View, ViewMut}};",
        file.path.display(),
        file.name
    );
    for (name, value) in &file.constants {
        let _ = writeln!(text, "    pub const {name}: usize = {value};");
    }
    if emulated {
        text.push_str("    unsafe extern \"C\" {\n");
        for p in file.precisions.clone() {
            for build in [Build::Plain, Build::Watched] {
                let _ = writeln!(
                    text,
                    "        fn {}(range: *mut *mut u32);",
                    build.range(&file.name, p)
                );
                for kernel in &file.kernels {
                    let _ = writeln!(
                        text,
                        "        fn {}(arguments: *mut *mut std::ffi::c_void);",
                        build.symbol(&kernel.name, p)
                    );
                }
            }
        }
        text.push_str("    }\n");
    }
    for kernel in &file.kernels {
        function(text, file, kernel, emulated);
    }
    text.push_str("}\n");
}

fn function(text: &mut String, file: &File, kernel: &Kernel, emulated: bool) {
    let upper = kernel.name.to_uppercase();
    let entry = |build: Build, p| {
        format!(
            "super::Entry {{ run: {}, shared: {} }}",
            build.symbol(&kernel.name, p),
            build.range(&file.name, p)
        )
    };
    let codes: Vec<String> = (0..file.precisions.end)
        .map(|p| match file.precisions.contains(&p) {
            true => format!(
                "Some(super::Emulated {{ plain: {}, watched: {} }})",
                entry(Build::Plain, p),
                entry(Build::Watched, p)
            ),
            false => "None".into(),
        })
        .collect();
    let code = if emulated {
        format!(" emulated: &[{}],", codes.join(", "))
    } else {
        String::new()
    };
    let _ = writeln!(
        text,
        "    pub static {upper}: Kernel = Kernel {{ module: {:?}, name: {:?}, threads: {}, resident: {}, cluster: {}, dynamic: {}, by_precision: {},{code} }};",
        file.name,
        kernel.name,
        kernel.threads,
        kernel.resident,
        kernel.cluster,
        kernel.dynamic,
        file.by_precision
    );
    let mut parameters = String::new();
    let mut arguments = Vec::new();
    let mut shapes = Vec::new();
    for p in &kernel.parameters {
        let (kind, argument) = match p.kind {
            Kind::InFloat => ("View<'_, f32>", "Arg::input"),
            Kind::InWord => ("View<'_, u32>", "Arg::input"),
            Kind::OutFloat => ("ViewMut<'_, f32>", "Arg::output"),
            Kind::OutWord => ("ViewMut<'_, u32>", "Arg::output"),
            Kind::InMap => ("MapView<'_>", "Arg::input_map"),
            Kind::OutMap => ("MapViewMut<'_>", "Arg::output_map"),
            Kind::TensorMap => ("TensorMap<'_>", "Arg::tensor_map"),
            Kind::Int => ("usize", "Arg::int"),
            Kind::Float => ("f32", "Arg::Float"),
        };
        let name = p.name.to_lowercase();
        let _ = write!(parameters, ", {name}: {kind}");
        let of_device = match p.kind {
            Kind::InMap | Kind::OutMap | Kind::TensorMap => "device, ",
            _ => "",
        };
        arguments.push(format!("{argument}({of_device}{name})"));
        if !p.shape.is_empty() {
            shapes.push(format!("{name} {}", p.shape));
        }
    }
    let _ = writeln!(
        text,
        "    /// `{}`: {}.\n    pub fn {}(device: &Device, grid: [usize; 3]{parameters}) {{\n        device.launch(&{upper}, grid, &mut [{}]);\n    }}",
        file.path.display(),
        if shapes.is_empty() {
            "scalars only".into()
        } else {
            shapes.join("; ").replace(['[', ']', '<', '>'], " ")
        },
        kernel.name,
        arguments.join(", ")
    );
}
