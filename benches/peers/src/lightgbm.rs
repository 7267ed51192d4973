//! LightGBM's C predictor on one thread. `FRESHRANK_LIGHTGBM` names the library; a model is the text LightGBM saves.

use crate::{Contestant, Error};
use libloading::{Library, Symbol};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;

type Load = unsafe extern "C" fn(*const c_char, *mut c_int, *mut *mut c_void) -> c_int;
type Free = unsafe extern "C" fn(*mut c_void) -> c_int;
type LastError = unsafe extern "C" fn() -> *const c_char;
/// Booster, data, its type, rows, columns, row-major, kind, first tree, trees, parameters, length, scores.
type Predict = unsafe extern "C" fn(
    *mut c_void,
    *const c_void,
    c_int,
    i32,
    i32,
    c_int,
    c_int,
    c_int,
    c_int,
    *const c_char,
    *mut i64,
    *mut f64,
) -> c_int;

const FLOAT32: c_int = 0;
const ROW_MAJOR: c_int = 1;
const RAW_SCORE: c_int = 1;
const ALL_TREES: c_int = -1;
const PARAMETERS: &CStr = c"num_threads=1";

/// A model and its rows.
pub struct LightGbm {
    library: &'static Library,
    booster: *mut c_void,
    rows: Vec<f32>,
    width: usize,
}

/// Loads the library, once a process.
///
/// # Errors
/// A library that cannot be found or loaded.
pub fn library() -> Result<&'static Library, Error> {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    if let Some(library) = LIBRARY.get() {
        return Ok(library);
    }
    let path = std::env::var("FRESHRANK_LIGHTGBM")?;
    // SAFETY: the library's initializers are those of LightGBM's own package.
    let library = unsafe { Library::new(path)? };
    Ok(LIBRARY.get_or_init(|| library))
}

impl LightGbm {
    /// Loads a model.
    ///
    /// # Errors
    /// In LightGBM's words.
    pub fn load(model: &[u8], rows: &[f32], width: usize) -> Result<Self, Error> {
        let library = library()?;
        let text = CString::new(model)?;
        let (mut trees, mut booster) = (0, null_mut());
        // SAFETY: the type is that of LightGBM's c_api.h; text, trees and booster live through the call.
        let code = unsafe {
            let load: Symbol<'_, Load> = library.get(b"LGBM_BoosterLoadModelFromString\0")?;
            load(text.as_ptr(), &raw mut trees, &raw mut booster)
        };
        checked(library, code)?;
        Ok(Self { library, booster, rows: rows.to_vec(), width })
    }
}

impl Contestant for LightGbm {
    fn run(&mut self, times: u32) -> Result<Vec<f32>, Error> {
        let n_rows = self.rows.len() / self.width;
        let mut scores = vec![0.0_f64; n_rows];
        let mut length = 0_i64;
        // SAFETY: the type is that of LightGBM's c_api.h; there is room for a score of every row.
        unsafe {
            let predict: Symbol<'_, Predict> = self.library.get(b"LGBM_BoosterPredictForMat\0")?;
            for _ in 0..times {
                let code = predict(
                    self.booster,
                    self.rows.as_ptr().cast(),
                    FLOAT32,
                    n_rows as i32,
                    self.width as i32,
                    ROW_MAJOR,
                    RAW_SCORE,
                    0,
                    ALL_TREES,
                    PARAMETERS.as_ptr(),
                    &raw mut length,
                    scores.as_mut_ptr(),
                );
                checked(self.library, code)?;
            }
        }
        Ok(scores.into_iter().map(|score| score as f32).collect())
    }
}

impl Drop for LightGbm {
    fn drop(&mut self) {
        // SAFETY: made by LGBM_BoosterLoadModelFromString, and freed once.
        unsafe {
            if let Ok(free) = self.library.get::<Free>(b"LGBM_BoosterFree\0") {
                free(self.booster);
            }
        }
    }
}

fn checked(library: &Library, code: c_int) -> Result<(), Error> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: LightGBM keeps the text of the thread's last error.
    let words = unsafe {
        let last: Symbol<'_, LastError> = library.get(b"LGBM_GetLastError\0")?;
        CStr::from_ptr(last()).to_string_lossy().into_owned()
    };
    Err(format!("LightGBM: {words}").into())
}
