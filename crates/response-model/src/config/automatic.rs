//! Values that follow from the amount of data, unless they are set.

use super::Config;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Up to this number of training images, automatic values are those for few images.
const FEW_IMAGES: f64 = 1200.0;
/// Channels of each layer for few images, and for many.
const CHANNELS: [f64; 2] = [16.0, 32.0];
/// Weight of the readout's L1 penalty for few images, and for many.
const L1: [f64; 2] = [0.01, 0.0005];
/// Epochs of patience for few images; with more, an epoch has more steps.
const PATIENCE: f64 = 3.0;

impl Config {
    /// This configuration with values in place of automatic ones, for a fit to this number of
    /// distinct training images, as [`fit`](crate::fit) uses it. Channels grow in proportion to the
    /// images, and the L1 penalty falls with their square: it pulls all neurons towards their means
    /// along the same features, so that in a population its bias does not average out as the noise
    /// does that it removes. Patience lasts for about as many steps.
    #[must_use]
    pub fn for_images(&self, images: usize) -> Self {
        let mut config = self.clone();
        let more = (images as f64 / FEW_IMAGES).max(1.0);
        let layers = self.core.kernels.len();
        config.core.channels.get_or_insert_with(|| {
            // Gabor filters come in groups of four phases.
            let channels = 4.0 * (CHANNELS[0] * more / 4.0).round();
            vec![channels.min(CHANNELS[1]) as usize; layers]
        });
        config.optimization.patience.get_or_insert((PATIENCE / more).round().max(1.0) as usize);
        config.readout.l1.get_or_insert((L1[0] / more.powi(2)).max(L1[1]));
        config
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text<T> {
    Value(T),
    Automatic(Word),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Automatic,
}

/// Serializes a value as itself or a word, since TOML cannot express a missing value.
pub(super) fn serialize<T: Serialize, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map_or(Text::Automatic(Word::Automatic), Text::Value).serialize(serializer)
}

pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let wrong = |_| serde::de::Error::custom("expected \"automatic\" or a value");
    Ok(match Text::deserialize(deserializer).map_err(wrong)? {
        Text::Value(value) => Some(value),
        Text::Automatic(Word::Automatic) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_values_follow_the_number_of_images() {
        let of = |images| {
            let mut config = Config::default();
            config.optimization.patience = None;
            let Config { core, readout, optimization, .. } = config.for_images(images);
            (core.channels.unwrap(), readout.l1.unwrap(), optimization.patience.unwrap())
        };
        assert_eq!(of(1), (vec![16; 3], 0.01, 3));
        assert_eq!(of(1200), (vec![16; 3], 0.01, 3));
        assert_eq!(of(1800), (vec![24; 3], 0.01 / 2.25, 2));
        assert_eq!(of(1_000_000), (vec![32; 3], 0.0005, 1));
        let set = Config::walker2019();
        assert_eq!(set.for_images(9000), set, "what is set stays");
    }

    #[test]
    fn automatic_is_a_word() {
        let text = serde_json::to_string(&Config::default()).unwrap();
        assert!(text.contains(r#""channels":"automatic""#) && text.contains(r#""l1":"automatic""#));
        let read: Config = serde_json::from_str(&text).unwrap();
        assert_eq!(read, Config::default());
        let set = r#"{"core": {"channels": [8, 4, 4]}, "readout": {"l1": 0}}"#;
        let set: Config = serde_json::from_str(set).unwrap();
        assert_eq!((set.core.channels, set.readout.l1), (Some(vec![8, 4, 4]), Some(0.0)));
        let error = serde_json::from_str::<Config>(r#"{"readout": {"l1": "little"}}"#).unwrap_err();
        assert!(error.to_string().contains("\"automatic\""), "{error}");
    }
}
