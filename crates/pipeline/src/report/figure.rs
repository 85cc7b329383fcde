//! One figure of the page: drawing, caption and numbers.

use super::csv::Csv;
use super::page::escape;

/// A figure.
pub(crate) struct Figure {
    pub(crate) title: String,
    /// An `svg` or `img`.
    content: String,
    caption: String,
    numbers: Option<Csv>,
}

impl Figure {
    /// A figure whose numbers the page contains.
    pub(crate) fn new(title: &str, content: String, numbers: Csv) -> Self {
        Self { title: title.to_owned(), content, caption: String::new(), numbers: Some(numbers) }
    }

    /// A figure with too many numbers for the page; its caption names the file that has them.
    pub(crate) fn without_numbers(title: &str, content: String) -> Self {
        Self { title: title.to_owned(), content, caption: String::new(), numbers: None }
    }

    /// Adds a caption.
    pub(crate) fn caption(self, caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), ..self }
    }

    /// The figure as an HTML element.
    pub(crate) fn html(&self) -> String {
        let link = self
            .numbers
            .as_ref()
            .map_or(String::new(), |numbers| format!(" {}", numbers.link(&self.title)));
        format!(
            "<figure>{}<figcaption>{}{link}</figcaption></figure>\n",
            self.content,
            escape(&self.caption)
        )
    }

    /// The plot as a separate SVG file.
    pub(crate) fn svg(&self) -> String {
        let style = include_str!("figure.css");
        let head = "<svg xmlns=\"http://www.w3.org/2000/svg\" ";
        let text = self.content.replacen("<svg ", head, 1);
        match text.find('>') {
            Some(end) => {
                format!("{}\n<style>{style}</style>\n{}\n", &text[..=end], &text[end + 1..])
            }
            None => text,
        }
    }
}
