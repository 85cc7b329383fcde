//! The pieces of the page: headings, sentences, tables, figures.

use super::figure::Figure;
use super::plots::Rgb;

/// Builds the body of the page from top to bottom.
#[derive(Default)]
pub(crate) struct Page {
    head: String,
    sections: Vec<String>,
    body: String,
}

/// How a finding is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    More,
    Less,
    Open,
}

impl Page {
    /// A section's heading and the sentence under it.
    pub(crate) fn section(&mut self, title: &str, lead: &str) {
        self.sections.push(title.to_owned());
        let number = self.sections.len();
        self.body += &format!(
            "<h2 id=\"s{number}\">{}</h2>\n<p class=\"lead\">{}</p>\n",
            escape(title),
            escape(lead)
        );
    }

    /// The page's own heading.
    pub(crate) fn title(&mut self, title: &str, lead: &str) {
        self.head +=
            &format!("<h1>{}</h1>\n<p class=\"lead\">{}</p>\n", escape(title), escape(lead));
    }

    /// Lists what an unfinished run lacks, above everything else.
    pub(crate) fn missing(&mut self, sentences: &[String]) {
        let lines: String =
            sentences.iter().map(|sentence| format!("<p>{}</p>\n", escape(sentence))).collect();
        self.head += &format!(
            "<div class=\"missing\"><p><strong>This run is in progress.</strong></p>\n{lines}</div>\n"
        );
    }

    /// Adds the answer before all sections: a sentence, and lists under headings.
    pub(crate) fn answer(
        &mut self,
        headline: &str,
        parts: &[(&str, Vec<(Option<(Sign, &str)>, String)>)],
    ) {
        self.head += &format!(
            "<div class=\"answer\" id=\"answer\"><p class=\"headline\">{}</p>\n",
            escape(headline)
        );
        for (title, sentences) in parts.iter().filter(|(_, sentences)| !sentences.is_empty()) {
            self.head += &format!("<h3>{}</h3>\n<ul>\n", escape(title));
            for (sign, sentence) in sentences {
                let sign = sign.map_or(String::new(), |(sign, word)| {
                    let class = match sign {
                        Sign::More => "more",
                        Sign::Less => "less",
                        Sign::Open => "open",
                    };
                    format!("<span class=\"sign {class}\">{}</span>", escape(word))
                });
                self.head += &format!("<li>{sign}{}</li>\n", escape(sentence));
            }
            self.head += "</ul>\n";
        }
        self.head += "</div>\n";
    }

    /// A paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.body += &format!("<p>{}</p>\n", escape(text));
    }

    /// Adds a table; the first cell of a row is its name and may have a color.
    pub(crate) fn table(&mut self, header: &[String], rows: &[(Option<Rgb>, Vec<String>)]) {
        self.body += "<div class=\"wide\"><table><thead><tr>";
        for cell in header {
            self.body += &format!(
                "<th scope=\"col\"><button type=\"button\">{}</button></th>",
                escape(cell)
            );
        }
        self.body += "</tr></thead><tbody>\n";
        for (color, cells) in rows {
            self.body += "<tr>";
            for (index, (cell, header)) in cells.iter().zip(header).enumerate() {
                let key = match color {
                    Some(color) if index == 0 => {
                        format!("<span class=\"key-color\" style=\"background:{color}\"></span>")
                    }
                    _ => String::new(),
                };
                self.body += &format!(
                    "<td data-label=\"{}\">{key}<span class=\"cell\">{}</span></td>",
                    escape(header),
                    escape(cell)
                );
            }
            self.body += "</tr>\n";
        }
        self.body += "</tbody></table></div>\n";
    }

    /// Adds figures, side by side if there is room.
    pub(crate) fn figures(&mut self, figures: &[Figure]) {
        if !figures.is_empty() {
            let figures: String = figures.iter().map(Figure::html).collect();
            self.body += &format!("<div class=\"grid\">{figures}</div>\n");
        }
    }

    /// Adds text that opens on a click.
    pub(crate) fn details(&mut self, summary: &str, text: &str) {
        self.body += &format!(
            "<details><summary>{}</summary><pre>{}</pre></details>\n",
            escape(summary),
            escape(text)
        );
    }

    /// The whole document.
    pub(crate) fn finish(self, title: &str) -> String {
        let links = self.sections.iter().enumerate();
        let links: String = links
            .map(|(index, title)| format!("<a href=\"#s{}\">{}</a>", index + 1, escape(title)))
            .collect();
        let body = format!("{}<nav>{links}</nav>\n{}", self.head, self.body);
        // Plots have their own style, since they are also saved as separate files.
        let style = format!("{}{}", include_str!("figure.css"), include_str!("page.css"));
        include_str!("page.html")
            .replace("{{title}}", &escape(title))
            .replace("{{style}}", &style)
            .replace("{{script}}", include_str!("page.js"))
            .replace("{{body}}", &body)
    }
}

/// An `img` as wide as its column.
pub(crate) fn wide_image(uri: &str, description: &str) -> String {
    format!("<img class=\"strip\" src=\"{uri}\" alt=\"{}\">", escape(description))
}

/// Escapes text for an element or an attribute.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_nothing_is_loaded_from_elsewhere() {
        let mut page = Page::default();
        page.title("a < b", "lead & more");
        page.section("x > y", "");
        page.answer("<b>", &[("seen", vec![(Some((Sign::More, "<i>")), "<script src>".into())])]);
        page.table(&["\"x\"".into()], &[(Some(Rgb(0, 0, 0)), vec!["<script>".into()])]);
        let html = page.finish("t");
        assert!(
            html.contains("a &lt; b")
                && html.contains("&lt;script&gt;")
                && html.contains("data-label=\"&quot;x&quot;\"")
        );
        assert_eq!(
            (html.matches("<script").count(), html.matches("<script>").count()),
            (1, 1),
            "the page's own"
        );
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("{{"));
    }
}
