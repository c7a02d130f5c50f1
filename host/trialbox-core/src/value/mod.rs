//! Values as they cross a boundary: Python's dialect of JSON, and text that is safe to print.

pub mod json;
pub mod text;
