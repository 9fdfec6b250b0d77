//! What the kernels' sources say: signatures, block sizes, integer constants.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One `.cu` file.
pub struct File {
    pub path: PathBuf,
    /// File stem: the op's name.
    pub name: String,
    pub kernels: Vec<Kernel>,
    /// `#define NAME integer`.
    pub constants: BTreeMap<String, usize>,
    /// Whether it is compiled once per precision.
    pub by_precision: bool,
    /// Those that it is compiled for, in the order of `striate.cuh`.
    pub precisions: Range<usize>,
    /// Whether it is for Hopper alone.
    pub hopper: bool,
    /// The file with everything that it includes, for the fingerprint.
    pub everything: String,
}

/// One `extern "C" __global__` function.
pub struct Kernel {
    pub name: String,
    pub threads: usize,
    /// Blocks that are to fit on a multiprocessor at once.
    pub resident: usize,
    /// Neighbouring blocks along x that run together, as `__cluster_dims__` says.
    pub cluster: usize,
    /// Bytes of shared memory that a launch asks for.
    pub dynamic: usize,
    pub parameters: Vec<Parameter>,
}

pub struct Parameter {
    pub name: String,
    pub kind: Kind,
    /// The comment on its shape.
    pub shape: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    InFloat,
    OutFloat,
    InWord,
    OutWord,
    /// Of `kernels/map.cuh`.
    InMap,
    OutMap,
    /// Of `kernels/tensor_map.cuh`.
    TensorMap,
    Int,
    Float,
}

/// What a block may have on every card from sm_80 on, and on Hopper.
const MOST_SHARED: [usize; 2] = [99 << 10, 227 << 10];

const HEAD: &str = "extern \"C\" __global__";

/// Reads every `.cu` in `directory`; headers lie there and in `others`.
pub fn read(directory: &str, others: &[&str]) -> Result<Vec<File>, String> {
    let paths = list(directory)?;
    let elsewhere: Vec<PathBuf> = others
        .iter()
        .map(|d| list(d))
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    let headers: Vec<&PathBuf> = paths
        .iter()
        .chain(&elsewhere)
        .filter(|p| has_extension(p, "cuh"))
        .collect();
    for path in &headers {
        outside_of_kernels(&text_of(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    paths
        .iter()
        .filter(|p| has_extension(p, "cu"))
        .map(|p| file(p, &headers))
        .collect()
}

fn list(directory: &str) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory).map_err(|e| format!("{directory}: {e}"))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

const SHARED_OUTSIDE: &str = "__shared__ outside a kernel: declare shared memory in the extern \"C\" __global__ function and pass \
    references, so that the emulator can fill it with NaN (g++ does not let a template's statics into a section)";

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|e| e == wanted)
}

fn text_of(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn file(path: &Path, headers: &[&PathBuf]) -> Result<File, String> {
    let text = text_of(path)?;
    let name = path
        .file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default();
    let at = |e: String| format!("{}: {e}", path.display());
    let constants = constants(&text);
    let hopper = text.contains("static_assert(HOPPER");
    let mut included = BTreeMap::new();
    include(path, headers, &mut included)?;
    let mut kernels = Vec::new();
    let mut rest = &text[..];
    while let Some(start) = rest.find(HEAD) {
        outside_of_kernels(&rest[..start]).map_err(at)?;
        let after = &rest[start + HEAD.len()..];
        let open = after
            .find('{')
            .ok_or_else(|| at("a kernel without a body".into()))?;
        let end = end_of_body(after, open);
        let mut kernel = kernel(&after[..open], &constants).map_err(at)?;
        kernel.dynamic = dynamic(&after[open..end], &constants, hopper).map_err(at)?;
        kernels.push(kernel);
        rest = &after[end..];
    }
    outside_of_kernels(rest).map_err(at)?;
    if kernels.is_empty() {
        return Err(at(format!("no `{HEAD}` function")));
    }
    let by_precision = included
        .iter()
        .any(|(own, text)| own != "striate.cuh" && without_comments(text).contains("PRECISION"));
    let precisions = match by_precision {
        false => 0..1,
        true if text.contains("static_assert(PRECISION != F32") => 1..3,
        true if text.contains("static_assert(PRECISION == TF32") => 1..2,
        true if text.contains("static_assert(PRECISION == BF16") => 2..3,
        true => 0..3,
    };
    Ok(File {
        path: path.to_owned(),
        name,
        kernels,
        by_precision,
        precisions,
        hopper,
        constants,
        everything: included.into_values().collect(),
    })
}

/// Adds a file and all headers that it includes, by name.
fn include(
    path: &Path,
    headers: &[&PathBuf],
    found: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text = text_of(path)?;
    if found.insert(name.into_owned(), text.clone()).is_some() {
        return Ok(());
    }
    let names = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("#include \"")?.strip_suffix('"'));
    for name in names {
        let header = headers
            .iter()
            .find(|h| h.file_name().is_some_and(|n| n == name))
            .ok_or_else(|| format!("{}: no header {name}", path.display()))?;
        include(header, headers, found)?;
    }
    Ok(())
}

fn outside_of_kernels(text: &str) -> Result<(), String> {
    let text = without_comments(text);
    let mut lines = text.lines().filter(|line| !line.starts_with("#define "));
    if lines.any(|line| line.contains("__shared__")) {
        return Err(SHARED_OUTSIDE.into());
    }
    Ok(())
}

fn end_of_body(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return open + i + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out.push_str(line.split("//").next().unwrap_or_default());
        out.push('\n');
    }
    while let Some(start) = out.find("/*") {
        let end = out[start..].find("*/").map_or(out.len(), |e| start + e + 2);
        out.replace_range(start..end, " ");
    }
    out
}

fn constants(text: &str) -> BTreeMap<String, usize> {
    without_comments(text)
        .lines()
        .filter_map(|line| {
            let mut words = line.trim().strip_prefix("#define ")?.split_whitespace();
            let (name, value) = (words.next()?, words.next()?.parse().ok()?);
            words.next().is_none().then(|| (name.to_owned(), value))
        })
        .collect()
}

/// `void [__cluster_dims__(2)] __launch_bounds__(256) name(const float* x /* (B, P) */, int n)`.
fn kernel(text: &str, constants: &BTreeMap<String, usize>) -> Result<Kernel, String> {
    let broken = || {
        format!(
            "wanted `void __launch_bounds__(THREADS) name(...)`, got `{}`",
            text.trim()
        )
    };
    let rest = text.trim_start().strip_prefix("void").ok_or_else(broken)?;
    let number = |text: &str| match text.trim().parse() {
        Ok(n) => Ok(n),
        Err(_) => constants.get(text.trim()).copied().ok_or_else(broken),
    };
    let (cluster, rest) = match rest.trim_start().strip_prefix("__cluster_dims__(") {
        Some(rest) => {
            let (blocks, rest) = rest.split_once(')').ok_or_else(broken)?;
            (number(blocks)?, rest)
        }
        None => (1, rest),
    };
    let rest = rest
        .trim_start()
        .strip_prefix("__launch_bounds__(")
        .ok_or_else(broken)?;
    let (bounds, rest) = rest.split_once(')').ok_or_else(broken)?;
    let (threads, resident) = match bounds.split_once(',') {
        Some((threads, resident)) => (number(threads)?, number(resident)?),
        None => (number(bounds)?, 1),
    };
    if threads % 32 != 0 || !(32..=1024).contains(&threads) {
        return Err(format!(
            "{threads} threads a block, wanted a multiple of 32 up to 1024"
        ));
    }
    let (name, parameters) = rest.split_once('(').ok_or_else(broken)?;
    let end = parameters.rfind(')').ok_or_else(broken)?;
    let parameters = split(&parameters[..end])
        .iter()
        .map(|p| parameter(p))
        .collect::<Result<_, _>>()?;
    Ok(Kernel {
        name: name.trim().to_owned(),
        threads,
        resident,
        cluster,
        dynamic: 0,
        parameters,
    })
}

/// Bytes of the `DYNAMIC_SHARED(name, words)` of a kernel's body.
fn dynamic(body: &str, constants: &BTreeMap<String, usize>, hopper: bool) -> Result<usize, String> {
    let Some((_, rest)) = body.split_once("DYNAMIC_SHARED(") else {
        return Ok(0);
    };
    let words = rest.split([',', ')']).nth(1).map(str::trim);
    let words = words.and_then(|w| constants.get(w)).copied();
    let bytes = 4 * words.ok_or("DYNAMIC_SHARED wants a name and an integer `#define`")?;
    let most = MOST_SHARED[usize::from(hopper)];
    match bytes <= most {
        true => Ok(bytes),
        false => Err(format!(
            "{bytes} bytes of shared memory, wanted at most {most}"
        )),
    }
}

/// At commas outside comments; a comment belongs to the parameter before it, also after its comma.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut comment = false;
    let characters: Vec<char> = text.chars().collect();
    let mut line_comment = false;
    for (i, &c) in characters.iter().enumerate() {
        let next = characters.get(i + 1);
        match (c, next) {
            ('/', Some('*')) => comment = true,
            ('/', Some('/')) => line_comment = true,
            ('\n', _) => line_comment = false,
            ('/', _) if i > 0 && characters[i - 1] == '*' => {
                comment = false;
                if let Some(last) = parts.last_mut() {
                    last.push(c);
                }
                continue;
            }
            (',', _) if !comment && !line_comment => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

fn parameter(text: &str) -> Result<Parameter, String> {
    let shape = match (text.find("/*"), text.find("*/")) {
        (Some(a), Some(b)) if a < b => text[a + 2..b].trim().to_owned(),
        _ => String::new(),
    };
    let bare = without_comments(text)
        .replace("__restrict__", " ")
        .replace('*', " * ");
    let words: Vec<&str> = bare.split_whitespace().collect();
    let (kind, name) = match words[..] {
        ["const", "float", "*", name] => (Kind::InFloat, name),
        ["float", "*", name] => (Kind::OutFloat, name),
        ["const", "u32", "*", name] => (Kind::InWord, name),
        ["u32", "*", name] => (Kind::OutWord, name),
        ["const", "Map", "*", name] => (Kind::InMap, name),
        ["Map", "*", name] => (Kind::OutMap, name),
        ["const", "__grid_constant__", "TensorMap", name] => (Kind::TensorMap, name),
        ["int", name] => (Kind::Int, name),
        ["float", name] => (Kind::Float, name),
        _ => {
            let wanted = "[const] float*, u32* or Map*, const __grid_constant__ TensorMap, int or float, and a name";
            return Err(format!("parameter `{}`, wanted {wanted}", text.trim()));
        }
    };
    Ok(Parameter {
        name: name.to_owned(),
        kind,
        shape,
    })
}
