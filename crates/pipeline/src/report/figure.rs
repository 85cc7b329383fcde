//! One figure of the page: what is seen, what is said of it, and its numbers.

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
    /// With everything that is drawn as numbers.
    pub(crate) fn new(title: &str, content: String, numbers: Csv) -> Self {
        Self { title: title.to_owned(), content, caption: String::new(), numbers: Some(numbers) }
    }

    /// One whose numbers are too many for the page; its caption says where they lie.
    pub(crate) fn without_numbers(title: &str, content: String) -> Self {
        Self { title: title.to_owned(), content, caption: String::new(), numbers: None }
    }

    /// With a sentence below.
    pub(crate) fn caption(self, caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), ..self }
    }

    /// As an element of the page.
    pub(crate) fn html(&self) -> String {
        let link = self.numbers.as_ref().map_or(String::new(), |numbers| format!(" {}", numbers.link(&self.title)));
        format!("<figure>{}<figcaption>{}{link}</figcaption></figure>\n", self.content, escape(&self.caption))
    }

    /// A plot as a file of its own.
    pub(crate) fn svg(&self) -> String {
        let style = include_str!("figure.css");
        let head = "<svg xmlns=\"http://www.w3.org/2000/svg\" ";
        let text = self.content.replacen("<svg ", head, 1);
        match text.find('>') {
            Some(end) => format!("{}\n<style>{style}</style>\n{}\n", &text[..=end], &text[end + 1..]),
            None => text,
        }
    }
}
