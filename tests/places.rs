//! Gaussian readouts and the controls, from fit to prediction.

mod common;
use common::{noise, relative, widen};
use ndarray::{Array2, Array3};
use std::path::Path;
use striate::device::Device;
use striate::model::checkpoint::{MODEL, Tensors};
use striate::model::config::{CoreKind, FeaturesPenalty, Frozen, Positions, ReadoutKind, Spread};
use striate::model::{Config, Model, closeup};
use striate::recording::preprocess::Preprocessing;
use striate::recording::{Recording, Tier, Trial};
use striate::table::{Column, Table};
use striate::training::{Interrupts, Options, Progress, Trainer};

const IMAGE: (usize, usize) = (9, 12);
const NEURONS: usize = 6;

fn recording() -> Recording {
    let (count, (h, w)) = (40, IMAGE);
    let tiers = [Tier::Train, Tier::Train, Tier::Validation, Tier::Test];
    let pixels = noise(count * h * w, 1).into_iter().map(|p| p as f32);
    let images = Array3::from_shape_vec((count, h, w), pixels.collect()).unwrap();
    let responses = Array2::from_shape_fn((count, NEURONS), |(t, n)| {
        1.0 + images[(t, 2 + n % 5, 3 + n % 7)].max(-1.0)
    });
    Recording {
        name: "r".into(),
        images,
        responses,
        trials: (0..count)
            .map(|image| Trial {
                image,
                tier: tiers[image % 4],
            })
            .collect(),
        neurons: None,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    }
}

fn config(kind: CoreKind) -> Config {
    let mut config = Config::default();
    config.core.kind = kind;
    config.core.orientations = 4;
    config.core.filter_sizes = vec![3, 3];
    config.core.features = vec![3, 2];
    config.penalties.smoothness_per_layer = vec![1.0, 0.5];
    config.penalties.group_sparsity_per_layer = vec![0.0, 1.0];
    config.readout.kind = ReadoutKind::Gaussian;
    config.readout.initial_range = 0.8;
    config.training.batch_size = 8;
    config.training.validate_every = 3;
    config
}

fn fit(out: &Path, config: &Config, recording: &Recording, options: Options) -> Model {
    let options = Options {
        out: out.into(),
        ..options
    };
    let recordings = std::slice::from_ref(recording);
    let mut trainer = Trainer::new(&Device::Cpu, config, recordings, &options).unwrap();
    trainer
        .run(&Interrupts::none(), &mut Progress::hidden())
        .unwrap();
    Model::open(out, &Device::Cpu).unwrap()
}

/// The same model with masks in place of the places.
fn masked(model: &Model) -> Model {
    let mut config = model.config.clone();
    config.readout.kind = ReadoutKind::Factorised;
    let readout = &model.readouts[0];
    let population = striate::model::Population {
        name: readout.name.clone(),
        height: readout.image.0,
        width: readout.image.1,
        response_scale: readout.response_scale.clone(),
    };
    let made = Model::zeros(&Device::Cpu, &config, model.preprocessing, &[population]);
    let mut made = made.unwrap();
    for (slot, own) in made.params.layout.clone().slots.iter().enumerate() {
        let slots = &model.params.layout.slots;
        let values = match slots.iter().position(|s| s.name == own.name) {
            Some(from) => model.params.view(from).download(),
            None => (0..readout.neurons)
                .flat_map(|n| model.mask(0, n))
                .collect(),
        };
        made.params.view_mut(slot).fill_from(&values);
    }
    made.statistics.values.copy_from(&model.statistics.values);
    made
}

#[test]
fn a_place_is_the_mask_of_its_four_pixels() {
    for kind in [CoreKind::RotationEquivariant, CoreKind::Convolutional] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(kind);
        config.training.max_steps = 4;
        let recording = recording();
        let mut model = fit(folder.path(), &config, &recording, Options::default());
        let mut places = model.places(0).unwrap();
        (places[0], places[1]) = ([-1.0, 1.0], [1.0, 0.2]);
        model.put_places(0, &places);
        let mut other = masked(&model);
        let z = model.preprocessing.z_score(recording.images.view());
        let flat = |a: &Array2<f32>| widen(&a.iter().copied().collect::<Vec<_>>());
        let (got, wanted) = (
            model.rates(0, z.view()).unwrap(),
            other.rates(0, z.view()).unwrap(),
        );
        let error = relative(&flat(&got), &flat(&wanted));
        assert!(error <= 1e-5, "{kind:?}: {error:e}");

        let weights = Array2::from_elem((z.dim().0, NEURONS), 0.3f32);
        let [got, wanted] = [&mut model, &mut other].map(|m| {
            let found = m.image_gradient(0, z.view(), &weights).unwrap();
            widen(&found.gradient.iter().copied().collect::<Vec<_>>())
        });
        let error = relative(&got, &wanted);
        assert!(error <= 1e-5, "{kind:?}, gradient: {error:e}");

        // What experiments look at: crops that hold all four pixels and no more.
        let neurons: Vec<usize> = (0..NEURONS).collect();
        let windows = closeup::looked_at(&model, 0, &neurons);
        assert!(
            windows.iter().all(|w| w.height <= 2 && w.width <= 2),
            "{windows:?}"
        );
    }
}

#[test]
fn resuming_samples_the_same_places() {
    for spread in [Spread::Full, Spread::Isotropic] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(CoreKind::Convolutional);
        config.readout.spread = spread;
        let recording = recording();
        let resume = || Options {
            resume: true,
            ..Options::default()
        };
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        config.training.max_steps = 11;
        fit(&whole, &config, &recording, Options::default());
        config.training.max_steps = 4;
        fit(&parts, &config, &recording, Options::default());
        config.training.max_steps = 11;
        fit(&parts, &config, &recording, resume());
        let bytes = |run: &Path| std::fs::read(run.join(MODEL)).unwrap();
        assert!(bytes(&whole) == bytes(&parts), "{spread:?}");
        let tensors = Tensors::read(&whole.join(MODEL)).unwrap().tensors;
        let shape = |name: &str| tensors[name].0.clone();
        assert_eq!(shape("readout.r.position"), [NEURONS, 2]);
        assert_eq!(tensors["input.size"].1, [IMAGE.0 as f32, IMAGE.1 as f32]);
        match spread {
            Spread::Full => assert_eq!(shape("readout.r.spread"), [NEURONS, 2, 2]),
            Spread::Isotropic => assert_eq!(shape("readout.r.spread"), [NEURONS]),
        }
    }
}

#[test]
fn places_start_where_the_configuration_says_and_stay_on_the_map() {
    let folder = tempfile::tempdir().unwrap();
    let mut recording = recording();
    let column = |seed: u64| Column::Number(noise(NEURONS, seed));
    let neurons = Column::Integer((0..NEURONS as i64).collect());
    recording.neurons = Some(
        Table::new()
            .with("neuron", neurons)
            .with("x", column(3))
            .with("y", column(4)),
    );
    let mut config = config(CoreKind::Convolutional);
    config.readout.initial_positions = Positions::Cortex;
    let start = |config: &Config, name: &str| {
        let options = Options {
            out: folder.path().join(name),
            ..Options::default()
        };
        let recordings = std::slice::from_ref(&recording);
        Trainer::new(&Device::Cpu, config, recordings, &options).unwrap()
    };
    let at = start(&config, "cortex").model().places(0).unwrap();
    let largest = at.iter().flatten().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!((largest - 0.8).abs() <= 1e-6, "{at:?}");
    config.readout.initial_positions = Positions::Uniform;
    config.training.learning_rate = 0.5;
    let mut trainer = start(&config, "uniform");
    let at = trainer.model().places(0).unwrap();
    assert!(at.iter().flatten().all(|v| v.abs() <= 0.8), "{at:?}");
    trainer.steps(5);
    let at = trainer.model().places(0).unwrap();
    assert!(at.iter().flatten().all(|v| v.abs() <= 1.0), "{at:?}");
    assert!(at.iter().flatten().any(|v| v.abs() == 1.0), "{at:?}");
}

#[test]
fn a_frozen_core_stays_bit_for_bit_while_other_neurons_are_read_out() {
    for readout in [ReadoutKind::Gaussian, ReadoutKind::Factorised] {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let recording = recording();
        let mut config = config(CoreKind::RotationEquivariant);
        config.readout.kind = readout;
        config.training.max_steps = 6;
        config.training.neurons = "0-5:2".into();
        fit(&first, &config, &recording, Options::default());
        config.training.neurons = "1-5:2".into();
        config.training.frozen = vec![Frozen::Core];
        let from_first = || Options {
            init: Some(first.clone()),
            ..Options::default()
        };
        let refused = Options {
            out: second.clone(),
            ..Options::default()
        };
        let recordings = std::slice::from_ref(&recording);
        let message = Trainer::new(&Device::Cpu, &config, recordings, &refused).unwrap_err();
        assert!(message.to_string().contains("training.frozen"), "{message}");
        let mut model = fit(&second, &config, &recording, from_first());
        let [before, after] =
            [&first, &second].map(|run| Tensors::read(&run.join(MODEL)).unwrap().tensors);
        for (name, (_, values)) in &before {
            let same = after[name].1 == *values;
            assert_eq!(same, !name.starts_with("readout."), "{name}");
        }
        let part = model.fitted(&recording).unwrap();
        assert_eq!(part.responses.column(1), recording.responses.column(3));
        assert_eq!(model.origin(String::new()).recorded, Some(vec![1, 3, 5]));
        let scored = striate::scoring::score(&mut model, 0, &recording).unwrap();
        assert_eq!(scored.predictions.dim().1, 3);
        // A fit that is resumed in the middle keeps the core, too.
        config.training.max_steps = 9;
        let resume = Options {
            resume: true,
            ..Options::default()
        };
        fit(&second, &config, &recording, resume);
        let after = Tensors::read(&second.join(MODEL)).unwrap().tensors;
        let of_core = before.iter().filter(|(name, _)| name.starts_with("core."));
        for (name, (_, values)) in of_core {
            assert_eq!(after[name].1, *values, "{name}");
        }
    }
}

#[test]
fn each_neuron_learns_how_strongly_it_is_penalised() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording();
    let mut config = config(CoreKind::Convolutional);
    config.readout.kind = ReadoutKind::Factorised;
    config.readout.features_penalty = FeaturesPenalty::AdaptiveLogNorm;
    config.penalties.readout_sparsity = 10.0;
    config.training.max_steps = 5;
    let model = fit(folder.path(), &config, &recording, Options::default());
    let norms = model
        .params
        .view(model.readouts[0].log_norm.unwrap())
        .download();
    assert_eq!(norms.len(), NEURONS);
    // A penalty falls with its factor.
    assert!(norms.iter().all(|s| *s < 0.0), "{norms:?}");
    let tensors = Tensors::read(&folder.path().join(MODEL)).unwrap().tensors;
    assert_eq!(tensors["readout.r.log_norm"], (vec![NEURONS], norms));
}

#[test]
fn a_share_of_the_images_decides_statistics_and_batches() {
    let folder = tempfile::tempdir().unwrap();
    let recording = recording();
    let mut config = config(CoreKind::Convolutional);
    config.training.trial_fraction = 0.3;
    config.training.max_steps = 3;
    let model = fit(folder.path(), &config, &recording, Options::default());
    let of = |r: &[Recording]| Preprocessing::images(r).unwrap();
    assert_ne!(model.preprocessing, of(std::slice::from_ref(&recording)));
    assert_eq!(model.recordings["r"], recording.hash());
}
