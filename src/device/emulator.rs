//! The kernels on this machine's processor, thread by thread, with what a card does not check: reads and writes outside of
//! the arguments, two blocks on one element, threads that miss a barrier, shared memory that nobody wrote, races.

mod notes;
mod watch;

pub use notes::Launched;
pub use watch::{Totals, Traffic};

use super::fault::Fault;
use super::launch::{Arg, Kernel, Raw};
use super::precision::Precision;
use super::tensor_map::Described;
use notes::Notes;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{Arc, Mutex, PoisonError};
use watch::{Ledger, Watch};

/// Directory of a driver library that needs no card and runs the emulated kernels: for tests of the way to a card.
pub const DRIVER: &str = env!("STRIATE_DRIVER");

/// In which order the emulator runs blocks, warps and lanes; no result may depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// 0, 1, 2 ..
    Forward,
    /// From the last to the first.
    Reverse,
    /// A fixed shuffle.
    Shuffled,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Forward, Self::Reverse, Self::Shuffled];
}

/// Runs kernels on this machine's processor.
#[derive(Clone, Debug)]
pub struct Emulator {
    pub(super) order: Order,
    pub(super) precision: Precision,
    pub(super) hopper: bool,
    pub(super) fault: Arc<Fault>,
    pub(super) ledger: Option<Arc<Ledger>>,
    pub(super) notes: Option<Arc<Notes>>,
}

unsafe extern "C" {
    fn striate_emulate(
        kernel: unsafe extern "C" fn(*mut *mut c_void),
        arguments: *mut *mut c_void,
        grid: *const c_uint,
        threads: c_uint,
        cluster: c_uint,
        order: c_uint,
        outputs: *const *mut u16,
        halves: *const usize,
        widths: *const usize,
        output_count: usize,
        shared: *const *mut u32,
        watch: *mut Watch,
        message: *mut c_char,
        message_size: usize,
    ) -> c_int;
}

/// There is one shared memory.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Halves of words before and after each argument.
const GUARD: usize = 2048;
/// What lies around inputs and around outputs: two NaNs, each by itself and twice as one float32.
const AROUND: [u16; 2] = [0x7fc1, 0x7fc2];

/// A copy of an argument between guards, as far from a multiple of 16 bytes as the argument itself: wide loads ask for it.
struct Guarded {
    halves: Vec<u16>,
    start: usize,
    target: Raw,
    output: bool,
}

impl Guarded {
    fn new(target: Raw, output: bool) -> Self {
        let mut halves = vec![AROUND[usize::from(output)]; target.bytes / 2 + 2 * GUARD + 8];
        let offset = |start: usize| (halves.as_ptr() as u64 + 2 * start as u64) % 16;
        let start = (GUARD..GUARD + 8)
            .find(|&start| offset(start) == target.address % 16)
            .unwrap_or(GUARD);
        // SAFETY: a view's address and length, borrowed for the whole launch.
        let source =
            unsafe { std::slice::from_raw_parts(target.address as *const u16, target.bytes / 2) };
        halves[start..start + target.bytes / 2].copy_from_slice(source);
        Self {
            halves,
            start,
            target,
            output,
        }
    }

    fn start(&mut self) -> *mut u16 {
        self.halves[self.start..].as_mut_ptr()
    }

    /// What the kernel did where it must not write.
    fn broken(&self) -> Option<String> {
        let around = AROUND[usize::from(self.output)];
        let end = self.start + self.target.bytes / 2;
        let at = (0..self.halves.len())
            .filter(|i| !(self.start..end).contains(i))
            .find(|&i| self.halves[i] != around)?;
        let Raw { bytes, width, .. } = self.target;
        Some(format!(
            "writes element {} of {}",
            (2 * (at as i64 - self.start as i64)).div_euclid(width as i64),
            bytes / width
        ))
    }

    fn store(&self) {
        // SAFETY: a mutable view's address and length, borrowed for the whole launch.
        let target = unsafe {
            std::slice::from_raw_parts_mut(self.target.address as *mut u16, self.target.bytes / 2)
        };
        target.copy_from_slice(&self.halves[self.start..][..self.target.bytes / 2]);
    }
}

impl Emulator {
    /// With this order of threads and this precision.
    pub fn new(order: Order, precision: Precision) -> Self {
        Self {
            order,
            precision,
            hopper: false,
            fault: Arc::default(),
            ledger: None,
            notes: None,
        }
    }

    /// The same as a card of Hopper, which has kernels of its own.
    pub fn as_hopper(self) -> Self {
        Self {
            hopper: true,
            ..self
        }
    }

    /// The same, and every access to memory is looked at: races are faults, traffic is counted. Some 2.5 times slower.
    pub fn watched(self) -> Self {
        Self {
            ledger: Some(Arc::default()),
            ..self
        }
    }

    /// What all launches took so far; nothing where they are not watched.
    pub fn traffic(&self) -> Totals {
        self.ledger
            .as_ref()
            .map_or_else(Totals::new, |l| l.totals())
    }

    /// The same, and no kernel runs: launches are noted. All that they would write stays as it was.
    pub fn noting(self) -> Self {
        Self {
            notes: Some(Arc::default()),
            ..self
        }
    }

    /// Takes what was noted so far.
    pub fn launched(&self) -> Vec<Launched> {
        self.notes.as_ref().map_or_else(Vec::new, |n| n.take())
    }

    pub(super) fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        args: &[Arg],
    ) -> Result<(), String> {
        let precision = match kernel.by_precision {
            true => self.precision,
            false => Precision::F32,
        };
        if let Some(notes) = &self.notes {
            notes.add(kernel, precision, grid);
            return Ok(());
        }
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let code = kernel.emulated.get(precision as usize);
        let code = code.and_then(Option::as_ref);
        let code = code.ok_or_else(|| format!("{}: not for {:?}", kernel.name, self.precision))?;
        let entry = match self.ledger {
            Some(_) => &code.watched,
            None => &code.plain,
        };
        let mut guarded = Vec::new();
        for arg in args {
            match arg {
                Arg::In(raw, _) | Arg::Boxes(raw, ..) => guarded.push(Guarded::new(*raw, false)),
                Arg::Out(raw, _) => guarded.push(Guarded::new(*raw, true)),
                _ => {}
            }
        }
        let mut starts: Vec<*mut u16> = guarded.iter_mut().map(Guarded::start).collect();
        let (all, lengths) = (starts.clone(), guarded.iter().map(|g| g.target.bytes));
        let lengths: Vec<usize> = lengths.collect();
        let mut scalars: Vec<u32> = args
            .iter()
            .map(|a| match a {
                Arg::Int(n) => *n as u32,
                Arg::Float(v) => v.to_bits(),
                _ => 0,
            })
            .collect();
        let mut described: Vec<Described> = args
            .iter()
            .filter(|a| matches!(a, Arg::In(..) | Arg::Out(..) | Arg::Boxes(..)))
            .zip(&all)
            .filter_map(|(arg, start)| match arg {
                Arg::Boxes(_, layout, _) => Some(Described::new(*start as u64, *layout)),
                _ => None,
            })
            .collect();
        let (mut pointers, mut maps) = (starts.iter_mut(), described.iter_mut());
        let mut arguments: Vec<*mut c_void> = Vec::new();
        for (arg, scalar) in args.iter().zip(&mut scalars) {
            let pointer = match arg {
                Arg::In(..) | Arg::Out(..) => pointers.next().map(|p| std::ptr::from_mut(p).cast()),
                Arg::Boxes(..) => pointers
                    .next()
                    .and(maps.next())
                    .map(|m| std::ptr::from_mut(m).cast()),
                _ => Some(std::ptr::from_mut(scalar).cast()),
            };
            arguments.extend(pointer);
        }
        let outputs: Vec<*mut u16> = starts_of(&mut guarded);
        let written = || guarded.iter().filter(|g| g.output).map(|g| g.target);
        let halves: Vec<usize> = written().map(|target| target.bytes / 2).collect();
        let widths: Vec<usize> = written().map(|target| target.width / 2).collect();
        let mut shared = [std::ptr::null_mut(); 2];
        let mut watch = self.ledger.as_ref().map(|_| Watch::new(&all, &lengths));
        let mut message = [0; 512];
        // SAFETY: build.rs wrote the call from the kernel's signature; arguments are guarded copies that live through it.
        let status = unsafe {
            (entry.shared)(shared.as_mut_ptr());
            striate_emulate(
                entry.run,
                arguments.as_mut_ptr(),
                grid.as_ptr(),
                kernel.threads as c_uint,
                kernel.cluster as c_uint,
                self.order as c_uint,
                outputs.as_ptr(),
                halves.as_ptr(),
                widths.as_ptr(),
                outputs.len(),
                shared.as_ptr(),
                watch
                    .as_mut()
                    .map_or(std::ptr::null_mut(), std::ptr::from_mut),
                message.as_mut_ptr(),
                message.len(),
            )
        };
        if status != 0 {
            // SAFETY: written by snprintf within its length.
            let text = unsafe { CStr::from_ptr(message.as_ptr()) };
            return Err(format!("{}: {}", kernel.name, text.to_string_lossy()));
        }
        for (i, argument) in guarded.iter().enumerate() {
            if let Some(what) = argument.broken() {
                return Err(format!("{}: {what} of pointer {i}", kernel.name));
            }
        }
        if let (Some(ledger), Some(watch)) = (&self.ledger, watch) {
            ledger.add(kernel.name, precision, watch.traffic);
        }
        guarded.iter().filter(|g| g.output).for_each(Guarded::store);
        Ok(())
    }
}

fn starts_of(guarded: &mut [Guarded]) -> Vec<*mut u16> {
    guarded
        .iter_mut()
        .filter(|g| g.output)
        .map(Guarded::start)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::kernels::{planted, planted_boxes, planted_warpgroup};
    use crate::device::{Device, TensorMap};

    const N: usize = planted::PLANTED_THREADS;

    fn device(order: Order) -> Device {
        Device::Emulated(Emulator::new(order, Precision::Tf32))
    }

    #[track_caller]
    fn assert_caught(order: Order, wanted: &str, run: impl FnOnce(&Device)) {
        let device = device(order);
        run(&device);
        let message = device
            .check()
            .map(|()| "no fault".to_string())
            .unwrap_or_else(|e| e.to_string());
        assert!(message.contains(wanted), "{message}");
    }

    #[test]
    fn a_write_outside_of_an_argument_is_caught() {
        for order in Order::ALL {
            assert_caught(order, "writes element 10 of 10", |d| {
                let mut y = d.zeros(&[10]);
                planted::planted_write_past_the_end(d, [1, 1, 1], y.view_mut(), 10);
            });
        }
    }

    #[test]
    fn two_blocks_that_write_one_element_are_caught() {
        assert_caught(Order::Reverse, "another block wrote", |d| {
            let mut y = d.zeros(&[1]);
            planted::planted_two_blocks_one_element(d, [2, 1, 1], y.view_mut());
        });
    }

    #[test]
    fn leaving_before_a_barrier_is_caught() {
        assert_caught(
            Order::Forward,
            "7 of 64 threads left before the barrier",
            |d| {
                let mut y = d.zeros(&[N]);
                planted::planted_leave_before_a_barrier(d, [1, 1, 1], y.view_mut(), N - 7);
            },
        );
    }

    #[test]
    fn half_a_warp_that_exchanges_is_caught() {
        assert_caught(Order::Shuffled, "16 of 32 lanes", |d| {
            let mut y = d.zeros(&[N]);
            planted::planted_half_a_warp_exchanges(d, [1, 1, 1], y.view_mut());
        });
    }

    #[test]
    fn barriers_at_two_places_are_caught() {
        assert_caught(Order::Forward, "different barriers", |d| {
            let mut y = d.zeros(&[N]);
            planted::planted_two_barriers_for_one(d, [1, 1, 1], y.view_mut());
        });
    }

    #[test]
    fn a_missing_barrier_shows_as_nan_or_as_a_difference_between_orders() {
        let run = |order| {
            let d = device(order);
            let mut y = d.zeros(&[N]);
            planted::planted_missing_barrier(&d, [1, 1, 1], y.view_mut());
            d.check().unwrap();
            y.download()
        };
        let results = Order::ALL.map(run);
        assert!(results.iter().any(|r| r.iter().any(|v| v.is_nan())));
        assert_ne!(
            results[0].iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            results[1].iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_is_read_outside_of_an_argument_is_nan() {
        let d = device(Order::Forward);
        let (x, mut y) = (d.upload(&[1.0; 5], &[5]), d.zeros(&[5]));
        planted::planted_read_past_the_end(&d, [1, 1, 1], x.view(), y.view_mut(), 5);
        d.check().unwrap();
        let y: Vec<f32> = y.download();
        assert!(y[..4].iter().all(|&v| v == 1.0) && y[4].is_nan());
    }

    #[test]
    fn a_misaligned_wide_load_stops_the_program() {
        const HERE: &str = "STRIATE_TEST_MISALIGNED";
        let Ok(start) = std::env::var(HERE) else {
            for (start, fine) in [("0", true), ("4", true), ("1", false), ("2", false)] {
                let name = "device::emulator::tests::a_misaligned_wide_load_stops_the_program";
                let output = std::process::Command::new(std::env::current_exe().unwrap())
                    .args([name, "--exact"])
                    .env(HERE, start)
                    .output()
                    .unwrap();
                assert_eq!(output.status.success(), fine, "{start}");
            }
            return;
        };
        let start: usize = start.parse().unwrap();
        let d = device(Order::Forward);
        let (x, mut y) = (d.upload(&[3.0f32; 12], &[12]), d.zeros(&[1]));
        planted::planted_wide_load(&d, [1, 1, 1], x.slice(start..start + 4), y.view_mut());
        assert_eq!(y.download(), [3.0]);
    }

    #[test]
    fn matrix_fragments_lie_where_the_hardware_has_them() {
        for (precision, k) in [(Precision::Tf32, 8), (Precision::Bf16, 16)] {
            // Small whole numbers, which all precisions hold.
            let a: Vec<f32> = (0..16 * k).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
            let b: Vec<f32> = (0..k * 8).map(|i| (i * 5 % 13) as f32 - 6.0).collect();
            let d = Device::Emulated(Emulator::new(Order::Shuffled, precision));
            let (on_a, on_b, mut on_d) = (
                d.upload(&a, &[16, k]),
                d.upload(&b, &[k, 8]),
                d.zeros(&[16, 8]),
            );
            planted::planted_product(&d, [1, 1, 1], on_a.view(), on_b.view(), on_d.view_mut());
            d.check().unwrap();
            let wanted: Vec<f32> = (0..128)
                .map(|i| (0..k).map(|l| a[i / 8 * k + l] * b[l * 8 + i % 8]).sum())
                .collect();
            assert_eq!(on_d.download(), wanted, "{precision:?}");
        }
    }

    #[test]
    fn what_nobody_waited_for_is_not_there() {
        let d = device(Order::Forward);
        let x: Vec<f32> = (0..8 * N).map(|i| i as f32).collect();
        let (x, mut y) = (d.upload(&x, &[8 * N]), d.zeros(&[2 * N]));
        planted::planted_wait_for_half(&d, [1, 1, 1], x.view(), y.view_mut());
        d.check().unwrap();
        let y: Vec<f32> = y.download();
        let (waited, other) = y.split_at(N);
        assert!((0..N).all(|i| waited[i] == (4 * ((i + 1) % N) + 1) as f32));
        assert!(other.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn matrices_reach_the_lanes_that_products_want_them_in() {
        let d = device(Order::Shuffled);
        let mut y = d.zeros::<u32>(&[256]);
        planted::planted_matrices(&d, [1, 1, 1], y.view_mut());
        d.check().unwrap();
        let wanted: Vec<u32> = (0..32u32)
            .flat_map(|lane| {
                let (g, t) = (lane / 4, lane % 4);
                let number = |i: u32, row: u32, column: u32| 8 * (8 * i + row) + column;
                let along = move |i| number(i, g, 2 * t) | number(i, g, 2 * t + 1) << 16;
                let turned = move |i| number(i, 2 * t, g) | number(i, 2 * t + 1, g) << 16;
                (0..4).map(along).chain((0..4).map(turned))
            })
            .collect();
        assert_eq!(y.download(), wanted);
    }

    #[test]
    fn products_of_a_warpgroup_are_of_what_was_copied_and_shown() {
        let d = Device::Emulated(Emulator::new(Order::Shuffled, Precision::Bf16).as_hopper());
        // Small whole numbers, whose sums are small too.
        let numbers = |n: usize, factor: usize, of: usize| -> Vec<f32> {
            let number = |i| (i * factor % of) as f32 - (of / 2) as f32;
            (0..n).map(number).collect()
        };
        let (a, b) = (numbers(64 * 64, 7, 11), numbers(64 * 128, 5, 13));
        let [mut on_a, mut on_b] = [a.len(), b.len()].map(|n| d.maps(&[n]));
        on_a.fill_from(&a);
        on_b.fill_from(&b);
        let [shown, hidden] = [1, 0].map(|shown| {
            let mut y = d.zeros::<f32>(&[64, 96]);
            planted_warpgroup::planted_group_product(
                &d,
                [1, 1, 1],
                on_a.view(),
                on_b.view(),
                y.view_mut(),
                shown,
            );
            d.check().unwrap();
            y.download()
        });
        let wanted: Vec<f32> = (0..64 * 96)
            .map(|i| {
                let (row, column) = (i / 96, i % 96);
                (0..64).map(|k| a[row * 64 + k] * b[k * 128 + column]).sum()
            })
            .collect();
        assert_eq!(shown, wanted);
        assert!(hidden.iter().all(|v| v.is_nan()));
    }

    /// What blocks made of it, and the fault.
    fn boxes(order: Order, blocks: usize, how: usize, watched: bool) -> (Vec<f32>, String) {
        let (rows, words) = (12, 80);
        let a: Vec<f32> = (0..rows * words).map(|i| i as f32).collect();
        let emulator = Emulator::new(order, Precision::Tf32).as_hopper();
        let d = Device::Emulated(if watched {
            emulator.watched()
        } else {
            emulator
        });
        let mut on_a = d.maps(&[rows, words]);
        on_a.fill_from(&a);
        let matrix = TensorMap {
            matrix: on_a.view(),
            rows,
            box_rows: planted_boxes::PLANTED_ROWS,
        };
        let mut y = d.zeros(&[blocks, 16, 32]);
        planted_boxes::planted_boxes(&d, [blocks, 1, 1], matrix, y.view_mut(), how);
        let fault = d.check().err().map(|e| e.to_string());
        (y.download(), fault.unwrap_or_default())
    }

    #[test]
    fn boxes_reach_every_block_of_a_cluster_with_zeros_beyond_the_matrix() {
        for (order, watched) in Order::ALL.into_iter().flat_map(|o| [(o, false), (o, true)]) {
            let (y, fault) = boxes(order, 2, 0, watched);
            assert_eq!(fault, "");
            let of_row = |row: usize, word: usize| match row < 12 && word < 80 {
                true => (row * 80 + word) as f32,
                false => 0.0,
            };
            let wanted = (0..2 * 16 * 32)
                .map(|i| of_row(i / 32 % 16, planted_boxes::PLANTED_COLUMN + i % 32));
            assert_eq!(y, wanted.collect::<Vec<_>>());
        }
    }

    #[test]
    fn faults_of_barriers_in_shared_memory_are_caught() {
        for (how, watched, wanted) in [
            (planted_boxes::PLANTED_TWICE, true, "waited for its copy"),
            (
                planted_boxes::PLANTED_UNWAITED,
                false,
                "that nobody waited for",
            ),
            (
                planted_boxes::PLANTED_FEWER,
                false,
                "that nobody waited for",
            ),
            (planted_boxes::PLANTED_LESS, false, "copies of 1024 bytes"),
            (planted_boxes::PLANTED_MORE, false, "nobody completes"),
            (planted_boxes::PLANTED_LEAVES, false, "which has left"),
            (planted_boxes::PLANTED_UNMADE, false, "nobody made"),
        ] {
            let (_, fault) = boxes(Order::Reverse, 2, how, watched);
            assert!(fault.contains(wanted), "{how}: {fault}");
        }
        let (_, fault) = boxes(Order::Forward, 3, 0, false);
        assert!(
            fault.contains("3 blocks, wanted a multiple of 2"),
            "{fault}"
        );
    }

    #[test]
    fn a_cluster_finds_nothing_of_those_of_other_launches() {
        use crate::ops::readout::{Shape, Weights, forward};
        let shape = Shape {
            batch: 2,
            channels: 3,
            pixels: 200,
            neurons: 200,
            positive_features: false,
        };
        let d = Device::Emulated(Emulator::new(Order::Reverse, Precision::Tf32).as_hopper());
        let numbers = |n: usize| d.upload(&vec![0.5; n], &[n]);
        let (x, mask) = (numbers(2 * 3 * 200), numbers(200 * 200));
        let (features, bias) = (numbers(200 * 3), numbers(200));
        let responses = || {
            let weights = Weights {
                mask: mask.view(),
                features: features.view(),
                bias: bias.view(),
                windows: None,
            };
            let mut h = d.zeros(&[2, 200]);
            forward(&d, &shape, x.view().into(), weights, h.view_mut(), None);
            d.check().unwrap();
            h.download()
        };
        let before: Vec<f32> = responses();
        assert_eq!(before, [0.5 + 200.0 * 3.0 * 0.125; 400]);
        // Of fewer threads.
        boxes(Order::Forward, 2, 0, false);
        assert_eq!(responses(), before);
    }

    #[test]
    fn what_no_int_holds_is_refused() {
        assert_caught(Order::Forward, "an argument of 3000000000", |d| {
            let mut y = d.zeros(&[1]);
            planted::planted_write_past_the_end(d, [1, 1, 1], y.view_mut(), 3_000_000_000);
        });
        assert_caught(Order::Forward, "blocks, wanted at most", |d| {
            let mut y = d.zeros(&[1]);
            planted::planted_two_blocks_one_element(d, [1, 70_000, 1], y.view_mut());
        });
    }
}
