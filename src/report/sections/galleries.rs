//! What neurons like best: most exciting images, optimal Gabors and differences of Gaussians.

use super::images::{Gallery, Tile, turned};
use super::shared::count;
use crate::report::figure::Section;
use crate::report::plot::shown;
use crate::report::source::{Found, Lack, Source};
use crate::stimuli::{DifferenceOfGaussians, Gabor};
use ndarray::ArrayD;
use std::f64::consts::TAU;
use std::rc::Rc;

/// Neurons of a gallery, and how many in a row.
const SHOWN: (usize, usize) = (20, 5);
/// Clusters, and members of each.
const CLUSTERS: (usize, usize) = (50, 4);

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "What neurons like best",
        "The image, the Gabor and the difference of Gaussians that drive a neuron most: of the best-predicted neurons, and of each cluster in its common frame.",
    );
    let scores = run.scores();
    if scores.is_none() {
        section.note("Without scores (`striate evaluate RUN`) the first neurons stand for the best-predicted ones.");
    }
    let chosen = run.best(&run.all(), scores.as_deref(), SHOWN.0);
    let stimuli = Stimuli::of(run);
    let scores = scores.as_deref();
    match &stimuli.meis {
        Ok(_) => section.draw_some(stimuli.gallery(run, Kind::Mei, &chosen, scores)),
        Err(lack) => section.lack("Most exciting images", lack, "meis RUN"),
    }
    match &stimuli.gabors {
        Ok(_) => section.draw_some(stimuli.gallery(run, Kind::Gabor, &chosen, scores)),
        Err(lack) => section.lack("Optimal Gabors", lack, "gabors RUN"),
    }
    match &stimuli.dogs {
        Ok(_) => section.draw_some(stimuli.gallery(run, Kind::Dog, &chosen, scores)),
        Err(lack) => section.lack("Optimal differences of Gaussians", lack, "dogs RUN"),
    }
    match run.table("cluster_gabors.csv") {
        Ok(gabors) => section.draw_some(clusters(run, &gabors, &stimuli, scores)),
        Err(lack) if run.has_bar_codes() => {
            section.lack("What each cluster likes best", &lack, "cluster-stimuli RUN");
        }
        Err(_) => {}
    }
    section
}

/// Which stimulus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The most exciting image.
    Mei,
    /// The optimal Gabor.
    Gabor,
    /// The optimal difference of Gaussians.
    Dog,
}

/// What the run holds of every neuron's optimal stimuli.
pub struct Stimuli {
    meis: Result<(Rc<Found>, ArrayD<f32>), Lack>,
    gabors: Result<Rc<Found>, Lack>,
    dogs: Result<Rc<Found>, Lack>,
    /// Height and width of the images.
    size: Option<(usize, usize)>,
}

impl Stimuli {
    /// Reads the tables.
    pub fn of(run: &Source) -> Self {
        let meis = run.table("meis.csv").and_then(|found| {
            let array = run.array("meis.npy", &found.table, "meis.csv")?;
            match array.shape() {
                [rows, _, _] if *rows == found.table.rows() => Ok((found, array)),
                shape => Err(Lack::Unusable(format!(
                    "meis.npy is {shape:?}, wanted a row of meis.csv, height, width"
                ))),
            }
        });
        let size = match &meis {
            Ok((_, array)) => Some((array.shape()[1], array.shape()[2])),
            Err(_) => image_size(run),
        };
        Self {
            meis,
            gabors: run.table("gabors.csv"),
            dogs: run.table("dogs.csv"),
            size,
        }
    }

    /// A neuron's stimulus on the whole image; none where it has none.
    fn image(&self, kind: Kind, neuron: usize) -> Option<Vec<f64>> {
        let (h, w) = self.size?;
        match kind {
            Kind::Mei => {
                let (found, array) = self.meis.as_ref().ok()?;
                let row = found.row(neuron)?;
                let held = found.number("response", row)?;
                let pixels = array.as_slice()?.get(row * h * w..(row + 1) * h * w)?;
                held.is_finite()
                    .then(|| pixels.iter().map(|p| f64::from(*p)).collect())
            }
            Kind::Gabor => Some(
                gabor(self.gabors.as_ref().ok()?, neuron)?
                    .draw(h, w)
                    .into_iter()
                    .collect(),
            ),
            Kind::Dog => {
                let found = self.dogs.as_ref().ok()?;
                let of = |name: &str| refined(found, name, found.row(neuron)?);
                let dog = DifferenceOfGaussians {
                    x: of("x")?,
                    y: of("y")?,
                    sigma_centre: of("sigma_centre")?,
                    sigma_surround: of("sigma_surround")?,
                    contrast: of("contrast")?,
                    surround_contrast: of("surround_contrast")?,
                };
                Some(dog.draw(h, w).into_iter().collect())
            }
        }
    }

    /// The stimuli of these neurons.
    fn gallery(
        &self,
        run: &Source,
        kind: Kind,
        neurons: &[usize],
        scores: Option<&[f64]>,
    ) -> Option<crate::report::figure::Figure> {
        let size = self.size?;
        let tile = |&n: &usize| {
            let score = scores.map_or(String::new(), |s| format!(", correlation {}", shown(s[n])));
            Tile {
                label: run.name(n),
                title: format!("neuron {}{score}", run.name(n)),
                neuron: Some(n),
                pixels: self.image(kind, n),
                size,
            }
        };
        let tiles: Vec<Tile> = neurons
            .iter()
            .map(tile)
            .filter(|t| t.pixels.is_some())
            .collect();
        let (name, title, what) = match kind {
            Kind::Mei => (
                "gallery-meis",
                "Most exciting images",
                "The image of given norm that drives each neuron most",
            ),
            Kind::Gabor => (
                "gallery-gabors",
                "Optimal Gabors",
                "The Gabor that drives each neuron most",
            ),
            Kind::Dog => (
                "gallery-dogs",
                "Optimal differences of Gaussians",
                "The difference of Gaussians that drives each neuron most",
            ),
        };
        let order = if scores.is_some() {
            "best-predicted first"
        } else {
            "in their order"
        };
        let caption = format!(
            "{what}, {order}; below each its number. One grey scale for all. {} of {}.",
            count(tiles.len(), "neuron", "neurons"),
            run.neurons.len()
        );
        Gallery {
            words: [name, title],
            caption,
            heads: Vec::new(),
            sides: Vec::new(),
            rows: Gallery::wrapped(tiles, SHOWN.1),
            by_column: false,
            unit: "(z-scored grey level)",
        }
        .draw()
    }
}

/// A number of a row, after refinement where there was one.
fn refined(found: &Found, name: &str, row: usize) -> Option<f64> {
    let own = |name: &str| found.number(name, row).filter(|v| v.is_finite());
    own(&format!("refined_{name}")).or_else(|| own(name))
}

/// A neuron's optimal Gabor.
pub fn gabor(found: &Found, neuron: usize) -> Option<Gabor> {
    let row = found.row(neuron)?;
    let of = |name: &str| refined(found, name, row);
    Some(Gabor {
        x: of("x")?,
        y: of("y")?,
        size: of("size").filter(|s| *s > 0.0)?,
        frequency: of("frequency")?,
        contrast: of("contrast")?,
        orientation: of("orientation")?,
        phase: of("phase")?,
    })
}

/// Height and width of the images that a model sees: its masks', and what valid padding took off; its weights'; or as it says itself.
pub fn image_size(run: &Source) -> Option<(usize, usize)> {
    let model = run.model.as_ref()?;
    if model.shape("input.size") == Some(&[2]) {
        let size = model.rows("input.size", 0, 2).ok()?;
        return Some((size[0] as usize, size[1] as usize));
    }
    let name = &run.readouts.first()?.0;
    if let Some(&[_, height, width]) = model.shape(&format!("readout.{name}.weights")) {
        return Some((height, width));
    }
    let lost = lost(run);
    match model.shape(&format!("readout.{name}.mask"))? {
        &[_, h, w] => Some((h + lost, w + lost)),
        _ => None,
    }
}

/// Pixels by which the last map is smaller than the image.
pub fn lost(run: &Source) -> usize {
    let padding = run.setting("core", "padding").and_then(|p| p.as_str());
    if padding != Some("valid") {
        return 0;
    }
    let sizes = run
        .setting("core", "filter_sizes")
        .and_then(|s| s.as_array());
    let usual = [13, 5, 5].map(toml::Value::Integer);
    let sizes = sizes.map_or(&usual[..], |s| &s[..]);
    let whole = sizes.iter().filter_map(toml::Value::as_integer);
    whole.map(|k| (k - 1).max(0) as usize).sum()
}

/// Every cluster's stimuli, and the most exciting images of its best-predicted members, all in the common frame.
fn clusters(
    run: &Source,
    gabors: &Found,
    stimuli: &Stimuli,
    scores: Option<&[f64]>,
) -> Option<crate::report::figure::Figure> {
    let side = side_of(run, gabors);
    let labels = run.clusters().unwrap_or_default();
    let found = run.table("clusters.csv").ok();
    let rotations = found.and_then(|f| f.values("rotation")).unwrap_or_default();
    let meis = run.table("cluster_meis.csv").ok().and_then(|f| {
        let array = run
            .array("cluster_meis.npy", &f.table, "cluster_meis.csv")
            .ok()?;
        (array.ndim() == 3).then_some((f, array))
    });
    let dogs = run.table("cluster_dogs.csv").ok();
    let turns = run.table("cluster_turns.csv").ok();
    let own = gabors.column("cluster");
    let mut rows = Vec::new();
    let mut sides = Vec::new();
    for (row, &cluster) in own.iter().enumerate().take(CLUSTERS.0) {
        let tile = |what: &str, pixels: Option<Vec<f64>>| Tile {
            label: String::new(),
            title: format!("cluster {cluster}, {what}"),
            neuron: None,
            pixels,
            size: (side, side),
        };
        let members: Vec<usize> = (0..labels.len())
            .filter(|&n| labels[n] == Some(cluster as usize))
            .collect();
        let frame = |column: &str| {
            let angles = turns.as_ref().and_then(|t| t.values(column));
            angles.map_or(0.0, |a| common_angle(&a, &rotations, &members))
        };
        let mut tiles = vec![
            tile(
                "Gabor",
                cluster_gabor(gabors, row, side, frame("gabor_orientation")),
            ),
            tile(
                "difference of Gaussians",
                dogs.as_ref().and_then(|d| cluster_dog(d, cluster, side)),
            ),
            tile(
                "MEI",
                meis.as_ref()
                    .and_then(|(f, a)| cluster_mei(f, a, cluster, side, frame("mei_orientation"))),
            ),
        ];
        for n in run.best(&members, scores, CLUSTERS.1) {
            tiles.push(Tile {
                title: format!("cluster {cluster}, MEI of neuron {}", run.name(n)),
                neuron: Some(n),
                ..tile("", member(stimuli, &rotations, n, side))
            });
        }
        rows.push(tiles);
        sides.push(cluster.to_string());
    }
    let members = ["1st", "2nd", "3rd", "4th"].into_iter().map(String::from);
    let heads = ["Gabor", "DoG", "MEI"].map(String::from);
    let caption = format!(
        "A row per cluster: the Gabor, the difference of Gaussians (DoG) and the most exciting image (MEI) that its neurons share; then the MEIs of its {} best-predicted members (1st, 2nd, ..), moved to the place of their Gabors and turned by the rotation that aligned their bar codes, as the shared ones are. A cluster whose members look alike here is one kind of neuron. Each column has one grey scale. {}.",
        CLUSTERS.1,
        count(rows.len(), "cluster", "clusters")
    );
    Gallery {
        words: ["gallery-clusters", "What each cluster likes best"],
        caption,
        heads: heads.into_iter().chain(members).collect(),
        sides,
        rows,
        by_column: true,
        unit: "(z-scored grey level)",
    }
    .draw()
}

/// Width of the cells: that of the clusters' MEIs, else what holds the largest Gabor.
fn side_of(run: &Source, gabors: &Found) -> usize {
    let meis = run.table("cluster_meis.csv").ok();
    let array = meis.and_then(|f| {
        run.array("cluster_meis.npy", &f.table, "cluster_meis.csv")
            .ok()
    });
    match array.as_ref().map(ArrayD::shape) {
        Some(&[_, h, w]) => h.max(w),
        _ => {
            let most = gabors.column("size").iter().copied().fold(0.0, f64::max);
            2 * (most.clamp(5.0, 200.0) as usize / 2) + 1
        }
    }
}

fn cluster_gabor(found: &Found, row: usize, side: usize, angle: f64) -> Option<Vec<f64>> {
    let of = |name: &str| refined(found, name, row);
    let middle = (side as f64 - 1.0) / 2.0;
    let gabor = Gabor {
        x: middle,
        y: middle,
        size: of("size").filter(|s| *s > 0.0)?,
        frequency: of("frequency")?,
        contrast: of("contrast")?,
        orientation: angle,
        phase: of("phase")?,
    };
    Some(gabor.draw(side, side).into_iter().collect())
}

fn row_of(found: &Found, cluster: f64) -> Option<usize> {
    found.column("cluster").iter().position(|c| *c == cluster)
}

fn cluster_dog(found: &Found, cluster: f64, side: usize) -> Option<Vec<f64>> {
    let row = row_of(found, cluster)?;
    let of = |name: &str| refined(found, name, row);
    let middle = (side as f64 - 1.0) / 2.0;
    let dog = DifferenceOfGaussians {
        x: middle,
        y: middle,
        sigma_centre: of("sigma_centre")?,
        sigma_surround: of("sigma_surround")?,
        contrast: of("contrast")?,
        surround_contrast: of("surround_contrast")?,
    };
    Some(dog.draw(side, side).into_iter().collect())
}

fn cluster_mei(
    found: &Found,
    array: &ArrayD<f32>,
    cluster: f64,
    side: usize,
    angle: f64,
) -> Option<Vec<f64>> {
    let row = row_of(found, cluster)?;
    let (h, w) = (array.shape()[1], array.shape()[2]);
    let pixels = array.as_slice()?.get(row * h * w..(row + 1) * h * w)?;
    let pixels: Vec<f64> = pixels.iter().map(|p| f64::from(*p)).collect();
    let middle = ((w as f64 - 1.0) / 2.0, (h as f64 - 1.0) / 2.0);
    Some(turned(&pixels, (h, w), middle, angle, side))
}

/// A member's most exciting image around its Gabor's place, turned into the common frame.
fn member(stimuli: &Stimuli, rotations: &[f64], neuron: usize, side: usize) -> Option<Vec<f64>> {
    let image = stimuli.image(Kind::Mei, neuron)?;
    let (h, w) = stimuli.size?;
    let gabor = gabor(stimuli.gabors.as_ref().ok()?, neuron)?;
    let angle = rotations.get(neuron).copied().filter(|r| r.is_finite())?;
    Some(turned(
        &image,
        (h, w),
        (gabor.x, gabor.y),
        angle.rem_euclid(TAU),
        side,
    ))
}

/// Where a cluster's own stimulus comes to lie when its members are turned into the common frame: the mean direction of
/// the members' angles and rotations together.
fn common_angle(angles: &[f64], rotations: &[f64], members: &[usize]) -> f64 {
    let (mut sin, mut cos) = (0.0, 0.0);
    for &n in members {
        let sum = angles[n] + rotations.get(n).copied().unwrap_or(f64::NAN);
        if sum.is_finite() {
            sin += sum.sin();
            cos += sum.cos();
        }
    }
    f64::atan2(sin, cos)
}
