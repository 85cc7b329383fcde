//! The pieces of the page: headings, tables, figures.

/// Builds the body of the page from top to bottom.
#[derive(Default)]
pub(crate) struct Page {
    body: String,
}

impl Page {
    /// A section's heading and the sentence under it.
    pub(crate) fn section(&mut self, title: &str, lead: &str) {
        self.body += &format!("<h2>{}</h2>\n<p class=\"lead\">{}</p>\n", escape(title), escape(lead));
    }

    /// The page's own heading.
    pub(crate) fn title(&mut self, title: &str, lead: &str) {
        self.body += &format!("<h1>{}</h1>\n<p class=\"lead\">{}</p>\n", escape(title), escape(lead));
    }

    /// A paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.body += &format!("<p>{}</p>\n", escape(text));
    }

    /// A table; the first cell of a row names it, and may carry a color.
    pub(crate) fn table(&mut self, header: &[String], rows: &[(Option<String>, Vec<String>)]) {
        self.body += "<div class=\"wide\"><table><thead><tr>";
        for cell in header {
            self.body += &format!("<th>{}</th>", escape(cell));
        }
        self.body += "</tr></thead><tbody>";
        for (color, cells) in rows {
            self.body += "<tr>";
            for (index, cell) in cells.iter().enumerate() {
                let key = match color {
                    Some(color) if index == 0 => format!("<span class=\"key\" style=\"background:{color}\"></span>"),
                    _ => String::new(),
                };
                self.body += &format!("<td>{key}{}</td>", escape(cell));
            }
            self.body += "</tr>";
        }
        self.body += "</tbody></table></div>\n";
    }

    /// Figures side by side where there is room: content (SVG or `img`) and caption.
    pub(crate) fn figures(&mut self, figures: &[(String, String)]) {
        self.body += "<div class=\"grid\">";
        for (content, caption) in figures {
            self.body += &format!("<figure>{content}<figcaption>{}</figcaption></figure>\n", escape(caption));
        }
        self.body += "</div>\n";
    }

    /// Text that opens on demand.
    pub(crate) fn details(&mut self, summary: &str, text: &str) {
        self.body += &format!("<details><summary>{}</summary><pre>{}</pre></details>\n", escape(summary), escape(text));
    }

    /// The whole document.
    pub(crate) fn finish(self, title: &str) -> String {
        include_str!("page.html").replace("{{title}}", &escape(title)).replace("{{body}}", &self.body)
    }
}

/// An `img` of a matrix.
pub(crate) fn matrix_image(uri: &str, description: &str) -> String {
    format!("<img class=\"matrix\" src=\"{uri}\" alt=\"{}\">", escape(description))
}

/// An `img` as wide as its column.
pub(crate) fn wide_image(uri: &str, description: &str) -> String {
    format!("<img class=\"strip\" src=\"{uri}\" alt=\"{}\">", escape(description))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_nothing_is_loaded_from_elsewhere() {
        let mut page = Page::default();
        page.title("a < b", "lead & more");
        page.table(&["x".into()], &[(Some("#000".into()), vec!["<script>".into()])]);
        let html = page.finish("t");
        assert!(html.contains("a &lt; b") && html.contains("&lt;script&gt;") && !html.contains("<script"));
        assert!(!html.contains("http"));
    }
}
