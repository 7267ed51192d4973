//! Pixels to few bytes: a palette, then the best of PNG's filters. Same pixels, same bytes.

use super::CardError;
use oxipng::{BitDepth, ColorType, Deflater, Options, RawImage, StripChunks};
use quantette::deps::palette::Srgb;
use quantette::dither::FloydSteinberg;
use quantette::{ImageRef, PaletteSize, Pipeline};
use resvg::tiny_skia::Pixmap;

/// Colours to try, until the bytes are few enough.
const PALETTES: [u16; 5] = [256, 128, 64, 32, 16];

/// A picture of at most so many bytes; `photo` asks for dithering, without which a sky has steps.
pub(super) fn encode(pixmap: &Pixmap, photo: bool, max_bytes: usize) -> Result<Vec<u8>, CardError> {
    let (width, height) = (pixmap.width(), pixmap.height());
    // Every pixel is opaque: nothing has to be taken out of the colours.
    let colours: Vec<Srgb<u8>> = pixmap.data().chunks_exact(4).map(|p| Srgb::new(p[0], p[1], p[2])).collect();
    let image = ImageRef::new(width, height, colours.as_slice())
        .map_err(|_| CardError::Encode("the picture has no pixels".into()))?;
    let mut smallest = usize::MAX;
    for n in PALETTES {
        let size = PaletteSize::try_from(n).unwrap_or(PaletteSize::MAX);
        let pipeline = Pipeline::new().palette_size(size).ditherer(photo.then(FloydSteinberg::new));
        let (palette, indices) = pipeline.input_image(image).output_srgb8_indexed_image().into_parts();
        let palette = palette.iter().map(|c| oxipng::RGBA8::new(c.red, c.green, c.blue, 255)).collect();
        let raw = RawImage::new(width, height, ColorType::Indexed { palette }, BitDepth::Eight, indices)?;
        let png = raw.create_optimized_png(&Options {
            strip: StripChunks::All,
            deflater: Deflater::Libdeflater { compression: 9 },
            // A clock would make bytes differ.
            timeout: None,
            ..Options::from_preset(1)
        })?;
        if png.len() <= max_bytes {
            return Ok(png);
        }
        smallest = smallest.min(png.len());
    }
    Err(CardError::TooLarge { bytes: smallest, max: max_bytes })
}
