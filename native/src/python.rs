//! What Python sees: `Games`, and where the collision meshes are loaded from.

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Mutex;

use numpy::{
    PyArray2, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray2, PyReadwriteArray3, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rocketsim::Arena;

use crate::game::{self, BALL_PLACEMENT, CAR_PLACEMENT, CONTROLS, Game, MAX_CARS};
use crate::layout::{self, ARENA_WIDTH, CAR_WIDTH, PADS};
use crate::snapshot::{ARENA_ROW, CAR_ROW};

const ROCKETSIM: &str = "0.3.4"; // as in Cargo.toml

static MESHES: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Loads the collision meshes in FOLDER/soccar. A second call with the same folder changes nothing.
///
/// Raises `ValueError` if the meshes are missing, incomplete or broken, or if another folder was loaded before.
#[pyfunction]
fn load_meshes(folder: PathBuf) -> PyResult<()> {
    let mut loaded = MESHES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(before) = &*loaded {
        return if *before == folder {
            Ok(())
        } else {
            Err(PyValueError::new_err(format!("already loaded from {}", before.display())))
        };
    }
    if !folder.join("soccar").is_dir() {
        return Err(PyValueError::new_err(format!("no folder {}", folder.join("soccar").display())));
    }
    catch_unwind(|| rocketsim::init(&folder, true))
        .map_err(|panic| PyValueError::new_err(game::said(panic.as_ref()).to_owned()))?
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    *loaded = Some(folder);
    Ok(())
}

/// N games of soccar. Cars are numbered over all games; within a game, in the order of its slots.
#[pyclass]
struct Games {
    games: Vec<Game>,
    templates: Vec<Arena>,
    template_of: Vec<usize>,
    first_car: Vec<usize>, // of each game; the last entry is the number of cars
    max_cars: usize,
    pads: [usize; PADS],
}

impl Games {
    fn game(&self, n: usize) -> PyResult<&Game> {
        self.games.get(n).ok_or_else(|| PyIndexError::new_err(format!("no game {n}, there are {}", self.games.len())))
    }

    /// Returns the rows of all games as slices, or an error that names the array whose shape is wrong.
    fn rows<'a>(
        &self,
        arena_rows: &'a mut PyReadwriteArray2<'_, f32>,
        car_rows: &'a mut PyReadwriteArray3<'_, f32>,
    ) -> PyResult<(&'a mut [f32], &'a mut [f32])> {
        let count = self.games.len();
        shaped("arena_rows", arena_rows.shape(), &[count, ARENA_WIDTH])?;
        shaped("car_rows", car_rows.shape(), &[count, self.max_cars, CAR_WIDTH])?;
        Ok((arena_rows.as_slice_mut()?, car_rows.as_slice_mut()?))
    }
}

#[pymethods]
impl Games {
    /// `slots`: the slots of the cars of each game, ascending and below `max_cars` (at most 8); the second half of the
    /// slots is orange. `pads` (34 pairs): x and y of the boost pads, in the order of the state.
    #[new]
    fn new(slots: Vec<Vec<usize>>, max_cars: usize, pads: Vec<[f32; 2]>) -> PyResult<Self> {
        if MESHES.lock().map_or(true, |loaded| loaded.is_none()) {
            return Err(PyRuntimeError::new_err("load_meshes must be called first"));
        }
        if max_cars > MAX_CARS {
            return Err(PyValueError::new_err(format!("max_cars={max_cars}: at most {MAX_CARS}")));
        }
        let bare = made(|| game::template(&[]))?;
        let pads = game::pad_order(&bare, &pads).map_err(PyValueError::new_err)?;
        let mut kinds: Vec<Vec<usize>> = Vec::new();
        let mut built = Self {
            games: Vec::new(),
            templates: Vec::new(),
            template_of: Vec::new(),
            first_car: vec![0],
            max_cars,
            pads,
        };
        for its in slots {
            if !its.is_sorted_by(|a, b| a < b) || its.last().is_some_and(|&last| last >= max_cars) {
                return Err(PyValueError::new_err(format!("slots={its:?}: ascending and below {max_cars}")));
            }
            let half = max_cars / 2;
            let kind = kinds.iter().position(|kind| *kind == its).unwrap_or(kinds.len());
            if kind == kinds.len() {
                let orange: Vec<bool> = its.iter().map(|&slot| slot >= half).collect();
                built.templates.push(made(|| game::template(&orange))?);
                kinds.push(its.clone());
            }
            built.first_car.push(built.first_car[built.games.len()] + its.len());
            built.games.push(Game::new(&built.templates[kind], its, half));
            built.template_of.push(kind);
        }
        Ok(built)
    }

    fn __len__(&self) -> usize {
        self.games.len()
    }

    /// Advances all games by `ticks`: the first `delay` ticks with the previous controls, the others with `controls`
    /// (C, 8): throttle, steer, pitch, yaw, roll, jump, boost, handbrake. Writes the states into `arena_rows` (N, 97)
    /// and `car_rows` (N, P, 45). Returns the games that are broken, each with the reason. A game whose controls are
    /// not finite becomes broken, too.
    ///
    /// Raises `ValueError`, before any game is stepped, if a shape is wrong.
    fn step(
        &mut self,
        py: Python<'_>,
        controls: PyReadonlyArray2<'_, f32>,
        delay: usize,
        ticks: usize,
        mut arena_rows: PyReadwriteArray2<'_, f32>,
        mut car_rows: PyReadwriteArray3<'_, f32>,
    ) -> PyResult<Vec<(usize, String)>> {
        shaped("controls", controls.shape(), &[self.first_car[self.games.len()], CONTROLS])?;
        let (arenas, cars) = self.rows(&mut arena_rows, &mut car_rows)?;
        let controls = controls.as_slice()?;
        let (games, first, pads, width) = (&mut self.games, &self.first_car, &self.pads, self.max_cars * CAR_WIDTH);
        Ok(py.detach(|| {
            let mut broken = Vec::new();
            for (n, game) in games.iter_mut().enumerate() {
                game.step(&controls[first[n] * CONTROLS..first[n + 1] * CONTROLS], delay, ticks);
                let here = (&mut arenas[n * ARENA_WIDTH..][..ARENA_WIDTH], &mut cars[n * width..][..width]);
                game.read(pads, here.0, here.1);
                broken.extend(game.broken.clone().map(|reason| (n, reason)));
            }
            broken
        }))
    }

    /// Writes the state of game `n` into its rows.
    fn read(
        &self,
        n: usize,
        mut arena_rows: PyReadwriteArray2<'_, f32>,
        mut car_rows: PyReadwriteArray3<'_, f32>,
    ) -> PyResult<()> {
        let game = self.game(n)?;
        let (arenas, cars) = self.rows(&mut arena_rows, &mut car_rows)?;
        let width = self.max_cars * CAR_WIDTH;
        let here = (&mut arenas[n * ARENA_WIDTH..][..ARENA_WIDTH], &mut cars[n * width..][..width]);
        game.read(&self.pads, here.0, here.1);
        Ok(())
    }

    /// Starts game `n` again. `ball` (9): position, velocity, angular velocity; `cars` (k, 13): position, yaw, pitch,
    /// roll, velocity, angular velocity, boost; `pads` (34): the seconds until each boost pad is back, by default all
    /// are full. Counts start at 0, the score goes on.
    ///
    /// Raises `ValueError`, without a change, if a number is not finite or a position is outside the field.
    #[pyo3(signature = (n, ball, cars, pads=None))]
    fn place(
        &mut self,
        n: usize,
        ball: PyReadonlyArray1<'_, f32>,
        cars: PyReadonlyArray2<'_, f32>,
        pads: Option<PyReadonlyArray1<'_, f32>>,
    ) -> PyResult<()> {
        shaped("ball", ball.shape(), &[BALL_PLACEMENT])?;
        shaped("cars", cars.shape(), &[self.game(n)?.slots.len(), CAR_PLACEMENT])?;
        let mut cooldowns = Vec::new();
        if let Some(pads) = &pads {
            shaped("pads", pads.shape(), &[PADS])?;
            cooldowns.resize(PADS, 0.0);
            for (&pad, &left) in self.pads.iter().zip(pads.as_slice()?) {
                cooldowns[pad] = left;
            }
        }
        let template = &self.templates[self.template_of[n]];
        self.games[n].place(template, ball.as_slice()?, cars.as_slice()?, &cooldowns).map_err(PyValueError::new_err)
    }

    /// Writes all games as numbers into `arenas` (N, `ARENA_SNAPSHOT`) and `cars` (C, `CAR_SNAPSHOT`).
    fn snapshot(
        &self,
        py: Python<'_>,
        mut arenas: PyReadwriteArray2<'_, f32>,
        mut cars: PyReadwriteArray2<'_, f32>,
    ) -> PyResult<()> {
        shaped("arenas", arenas.shape(), &[self.games.len(), ARENA_ROW])?;
        shaped("cars", cars.shape(), &[self.first_car[self.games.len()], CAR_ROW])?;
        let (arenas, cars) = (arenas.as_slice_mut()?, cars.as_slice_mut()?);
        py.detach(|| {
            for (n, game) in self.games.iter().enumerate() {
                let its = self.first_car[n] * CAR_ROW..self.first_car[n + 1] * CAR_ROW;
                game.encode(&mut arenas[n * ARENA_ROW..][..ARENA_ROW], &mut cars[its]);
            }
        });
        Ok(())
    }

    /// Sets all games to a `snapshot`. Counts start at 0, scores go on. The next states depend only on the snapshot and
    /// on the controls, in any game and process.
    ///
    /// Raises `ValueError` if a shape is wrong, a number is not finite, or a position is outside the field.
    fn restore(
        &mut self,
        py: Python<'_>,
        arenas: PyReadonlyArray2<'_, f32>,
        cars: PyReadonlyArray2<'_, f32>,
    ) -> PyResult<()> {
        shaped("arenas", arenas.shape(), &[self.games.len(), ARENA_ROW])?;
        shaped("cars", cars.shape(), &[self.first_car[self.games.len()], CAR_ROW])?;
        let (mut arenas, mut cars) = (arenas.as_slice()?.to_vec(), cars.as_slice()?.to_vec());
        finite("arenas", &arenas)?;
        finite("cars", &cars)?;
        let (games, templates, first) = (&mut self.games, &self.templates, &self.first_car);
        let template_of = &self.template_of;
        py.detach(|| {
            for (n, game) in games.iter_mut().enumerate() {
                let its = first[n] * CAR_ROW..first[n + 1] * CAR_ROW;
                game.decode(&templates[template_of[n]], &mut arenas[n * ARENA_ROW..][..ARENA_ROW], &mut cars[its])
                    .map_err(|reason| format!("arena {n} of the snapshot: {reason}"))?;
            }
            Ok(())
        })
        .map_err(PyValueError::new_err::<String>)
    }

    /// Returns the events of the last step in the order of time, a row (game, tick, kind, car, other) for each. Kinds:
    /// 0 `car` touched the ball, 1 bumped the car `other`, 2 demolished it, 3 took the pad `other` (in the engine's
    /// order), 4 scored for team `other` (car -1 if it counts for no car), 5 respawned. Cars are numbered within the
    /// game.
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i32>>> {
        let rows: Vec<Vec<i32>> = (0..)
            .zip(&self.games)
            .flat_map(|(n, game)| {
                game.events.iter().map(move |e| vec![n, e.tick.cast_signed(), e.kind as i32, e.car, e.other])
            })
            .collect();
        if rows.is_empty() {
            return Ok(PyArray2::zeros(py, [0, 5], false));
        }
        Ok(PyArray2::from_vec2(py, &rows)?)
    }
}

/// Returns the result of `make`, or an error if it panics.
fn made(make: impl FnOnce() -> Arena + std::panic::UnwindSafe) -> PyResult<Arena> {
    catch_unwind(make).map_err(|_| PyRuntimeError::new_err("RocketSim panicked while it made an arena"))
}

fn shaped(name: &str, shape: &[usize], wanted: &[usize]) -> PyResult<()> {
    if shape == wanted {
        Ok(())
    } else {
        Err(PyValueError::new_err(format!("{name}: shape {shape:?}, not {wanted:?}")))
    }
}

fn finite(name: &str, numbers: &[f32]) -> PyResult<()> {
    match numbers.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(PyValueError::new_err(format!("{name}: {} at {at} is not finite", numbers[at]))),
    }
}

#[pymodule]
fn rlbot_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Each panic becomes a Python exception, which tells what it says. Rust would print it as well.
    std::panic::set_hook(Box::new(|_| {}));
    module.add("ROCKETSIM", ROCKETSIM)?;
    module.add("ARENA_SNAPSHOT", ARENA_ROW)?;
    module.add("CAR_SNAPSHOT", CAR_ROW)?;
    module.add("ARENA_LAYOUT", layout::arena::NAMED)?;
    module.add("CAR_LAYOUT", layout::car::NAMED)?;
    module.add("ARENA_WIDTH", ARENA_WIDTH)?;
    module.add("CAR_WIDTH", CAR_WIDTH)?;
    module.add_function(wrap_pyfunction!(load_meshes, module)?)?;
    module.add_class::<Games>()
}
