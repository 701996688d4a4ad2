//! Links between the texts: each leads to a file, and to a heading where it names one; the book has every page of the guide.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Finding, Outcome, Workspace};

const RULE: &str = "links";
const GUIDE: &str = "docs/guide";
const CONTENTS: &str = "SUMMARY.md";

/// Follows every link that stays in the repository.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let root = &workspace.root;
    let mut texts = Vec::new();
    for folder in ["", "docs", GUIDE, "docs/decisions"] {
        texts.extend(texts_in(&root.join(folder))?);
    }
    let (mut found, mut count) = (Vec::new(), 0);
    for path in &texts {
        let text = read(path)?;
        let file = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        for (line, link) in links(&text) {
            count += 1;
            if let Some(message) = broken(path, link)? {
                found.push(Finding { file: file.clone(), line, rule: RULE, message });
            }
        }
    }
    let contents = read(&root.join(GUIDE).join(CONTENTS))?;
    for page in texts_in(&root.join(GUIDE))? {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != CONTENTS && !contents.contains(&format!("({name})")) {
            let message = format!("this page is not in {CONTENTS}, so it is not in the book");
            found.push(Finding { file: format!("{GUIDE}/{name}"), line: 0, rule: RULE, message });
        }
    }
    Ok((found, format!("{count} links in {} texts", texts.len())))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn texts_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut texts: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    texts.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    texts.sort();
    Ok(texts)
}

/// Returns what links of a text lead to, with their lines; not those to elsewhere, nor what is in code.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().flat_map(move |(line, text)| {
        if text.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let code = in_code;
        text.split("](").skip(1).filter(move |_| !code).filter_map(move |rest| {
            let link = rest.split(')').next()?;
            (!link.contains("://")).then_some((line + 1, link))
        })
    })
}

/// Says what is wrong with a link of the text at `from`.
fn broken(from: &Path, link: &str) -> Result<Option<String>, String> {
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let to = if file.is_empty() { from.to_owned() } else { from.parent().unwrap_or(from).join(file) };
    if !to.exists() {
        return Ok(Some(format!("there is no {file}")));
    }
    let Some(heading) = heading else { return Ok(None) };
    let there = read(&to)?.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
    Ok((!there).then(|| format!("there is no heading for #{heading} in {}", to.display())))
}

/// Returns the anchor of a heading, as hosts of repositories make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_in_code_and_to_elsewhere_are_none() {
        let text = "[a](a.md) and [b](../b.md#x), [c](https://c.d)\n```\nlet f = v[0](1);\n```\n[e](#f)";
        assert_eq!(links(text).collect::<Vec<_>>(), [(1, "a.md"), (1, "../b.md#x"), (5, "#f")]);
    }

    #[test]
    fn anchors_are_made_of_the_words_of_a_heading() {
        assert_eq!(anchor("## What is `promised`, and why"), "what-is-promised-and-why");
    }
}
