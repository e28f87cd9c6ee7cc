use qrcode::render::svg::Color;
use qrcode::{EcLevel, QrCode};

use crate::types::{Error, Result, Secret};

/// How wide a picture is at the least, in its own units.
const WIDTH: u32 = 240;

/// A QR code as the text of an SVG picture.
///
/// The official client writes it behind `data:image/svg+xml;utf-8,` as it is: no `#`, which would begin a fragment.
pub(super) fn svg(text: &Secret) -> Result<Secret> {
    let code = QrCode::with_error_correction_level(text.expose(), EcLevel::M).map_err(Error::internal)?;
    let mut picture = code.render::<Color<'_>>();
    let picture = picture.min_dimensions(WIDTH, WIDTH).dark_color(Color("black")).light_color(Color("white"));
    Ok(Secret::new(picture.build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_stands_in_a_data_url_as_it_is() {
        let long = format!("otpauth://totp/{}?secret={}", "x".repeat(600), "A".repeat(32));
        for text in ["otpauth://totp/a:b?secret=A", &long] {
            let picture = svg(&text.into()).unwrap();
            let picture = picture.expose();
            assert!(picture.starts_with("<?xml") && picture.ends_with("</svg>"), "{picture}");
            assert!(!picture.contains(['#', '%']), "{picture}");
            assert!(picture.contains("fill=\"white\"") && picture.contains("fill=\"black\""));
        }
        assert!(svg(&"x".repeat(4_000).as_str().into()).is_err());
    }
}
