//! Numbers as comma-separated text, and the link that holds it.

use super::page::escape;

/// A table that is written line by line.
pub(crate) struct Csv(String);

impl Csv {
    /// An empty table with these column names.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut csv = Self(String::new());
        csv.line(columns.iter().map(|name| (*name).to_owned()));
        csv
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        let quoted = |cell: String| match cell.contains([',', '"', '\n']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell,
        };
        self.0 += &cells.into_iter().map(quoted).collect::<Vec<_>>().join(",");
        self.0.push('\n');
    }

    /// A link that saves the table under the name of its figure.
    pub(crate) fn link(&self, title: &str) -> String {
        let name: String = title
            .to_lowercase()
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        let name = name.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
        let mut data = String::with_capacity(self.0.len() + self.0.len() / 8);
        for c in self.0.chars() {
            match c {
                '%' | '#' | '\n' | '"' | '&' | '<' | '>' | ' ' => {
                    data += &format!("%{:02X}", u32::from(c))
                }
                other => data.push(other),
            }
        }
        format!(
            "<a class=\"csv\" download=\"{name}.csv\" href=\"data:text/csv;charset=utf-8,{data}\" title=\"The numbers of {}\">CSV</a>",
            escape(title)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_are_quoted_and_links_hold_nothing_that_ends_them() {
        let mut csv = Csv::new(&["name", "x"]);
        csv.line(["a, \"b\" & <c>".to_owned(), "0.5%".to_owned()]);
        assert_eq!(csv.0, "name,x\n\"a, \"\"b\"\" & <c>\",0.5%\n");
        let link = csv.link("Accuracy, under noise 0.20");
        assert!(link.contains("download=\"accuracy-under-noise-0-20.csv\""), "{link}");
        let data = link.split("utf-8,").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(data, "name,x%0A%22a,%20%22%22b%22%22%20%26%20%3Cc%3E%22,0.5%25%0A");
    }
}
