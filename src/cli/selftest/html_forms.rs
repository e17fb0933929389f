//! The forms of a page: enough of HTML to fill one in, and no more. What cannot be read is passed over;
//! the page is the server's and may be anything.

/// One form, as it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    pub action: String,
    pub post: bool,
    pub controls: Vec<FormControl>,
}

/// Something in a form that has a value.
#[derive(Clone, Debug, Default)]
pub(super) struct FormControl {
    /// `text`, `password`, `hidden`, `submit` …, lower case.
    pub kind: String,
    pub name: String,
    pub value: String,
    pub id: String,
    /// What is written on a button.
    pub label: String,
    checked: bool,
}

impl FormControl {
    pub fn is_text(&self) -> bool {
        matches!(&*self.kind, "text" | "email" | "tel" | "")
    }

    pub fn is_button(&self) -> bool {
        matches!(&*self.kind, "submit" | "image")
    }

    /// Whether a browser sends it without anybody touching it.
    pub fn is_sent(&self) -> bool {
        let chosen = !matches!(&*self.kind, "checkbox" | "radio") || self.checked;
        let silent = matches!(&*self.kind, "submit" | "image" | "button" | "reset" | "file");
        !self.name.is_empty() && chosen && !silent
    }
}

impl Form {
    pub fn password(&self) -> Option<&FormControl> {
        self.controls.iter().find(|it| it.kind == "password")
    }

    /// The field for the user name: one that says so, or the first one for text.
    pub fn username(&self) -> Option<&FormControl> {
        let says = |it: &&FormControl| {
            let name = it.name.to_ascii_lowercase();
            it.is_text()
                && ["user", "login", "mail", "ident"].iter().any(|part| name.contains(part))
        };
        let text = || self.controls.iter().find(|it| it.is_text());
        self.controls.iter().find(says).or_else(text)
    }

    /// The button that agrees.
    pub fn agreement(&self) -> Option<&FormControl> {
        const IDS: [&str; 2] = ["consent-accept", "logout-confirm"];
        let buttons = || self.controls.iter().filter(|it| it.is_button());
        let among = |words: &'static [&str]| {
            move |it: &&FormControl| {
                let said = format!("{} {} {} {}", it.id, it.name, it.value, it.label);
                let said = said.to_ascii_lowercase();
                words.iter().any(|word| said.contains(word))
            }
        };
        let refusing = among(&["deny", "cancel", "reject", "decline", "refuse"]);
        buttons()
            .find(|it| IDS.contains(&&*it.id))
            .or_else(|| buttons().find(among(&["accept", "allow", "approve", "agree", "confirm"])))
            .or_else(|| buttons().find(|it| !refusing(it)))
    }
}

/// Every form on the page.
pub(super) fn forms(page: &str) -> Vec<Form> {
    let (mut done, mut open) = (Vec::new(), None::<Form>);
    let mut rest = page;
    while let Some((tag, after)) = next_tag(rest) {
        rest = after;
        match (&*tag.name, &mut open) {
            ("form", _) => {
                done.extend(open.take());
                let post = tag.get("method").eq_ignore_ascii_case("post");
                open = Some(Form { action: tag.get("action"), post, controls: Vec::new() });
            }
            ("/form", _) => done.extend(open.take()),
            ("input", Some(form)) => form.controls.push(tag.control("text")),
            ("textarea", Some(form)) => form.controls.push(tag.control("textarea")),
            ("button", Some(form)) => {
                let mut button = tag.control("submit");
                let label = after.split("</button").next().unwrap_or_default();
                button.label = label.chars().take(200).collect();
                form.controls.push(button);
            }
            _ => {}
        }
    }
    done.extend(open);
    done
}

/// The attribute of the first tag of that name whose value passes.
pub(super) fn attribute(page: &str, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let mut rest = page;
    while let Some((tag, after)) = next_tag(rest) {
        rest = after;
        if let Some((_, value)) = tag.attributes.iter().find(|(_, value)| wanted(value)) {
            return Some(value.clone());
        }
    }
    None
}

struct Tag {
    /// Lower case, with the slash of an end tag.
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(other, _)| other == name)
    }

    fn get(&self, name: &str) -> String {
        let found = self.attributes.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn control(&self, usual: &str) -> FormControl {
        let kind = self.get("type").to_ascii_lowercase();
        let checked = self.has("checked");
        // A box that is ticked without a value says `on`.
        let ticked = matches!(&*kind, "checkbox" | "radio") && !self.has("value");
        FormControl {
            value: if ticked { "on".to_owned() } else { self.get("value") },
            kind: if kind.is_empty() { usual.to_owned() } else { kind },
            name: self.get("name"),
            id: self.get("id"),
            label: String::new(),
            checked,
        }
    }
}

/// The next tag and what comes after it; comments, scripts and styles are gone over.
fn next_tag(page: &str) -> Option<(Tag, &str)> {
    let mut rest = page;
    loop {
        rest = rest.get(rest.find('<')? + 1..)?;
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->")?.1;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '/').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let name = name.trim_end_matches('/').to_ascii_lowercase();
        if !name.trim_start_matches('/').starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let (attributes, mut after) = attributes(after);
        if matches!(&*name, "script" | "style") {
            let end = format!("</{name}");
            after = after.find(&end).and_then(|at| after.get(at..)).unwrap_or_default();
        }
        return Some((Tag { name, attributes }, after));
    }
}

/// The attributes up to the end of the tag; of two with one name the first counts.
fn attributes(text: &str) -> (Vec<(String, String)>, &str) {
    let (mut found, mut rest) = (Vec::<(String, String)>::new(), text);
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return (found, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (found, after);
        }
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
        // An equals sign where a name should be is part of the name.
        let end = rest.char_indices().skip(1).find(|(_, c)| ends(*c)).map_or(rest.len(), |it| it.0);
        let (name, after) = rest.split_at(end);
        let (value, after) = match after.trim_start().strip_prefix('=') {
            Some(after) => value(after.trim_start()),
            None => ("", after),
        };
        found.push((name.to_ascii_lowercase(), decoded(value)));
        rest = after;
    }
}

fn value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote) {
            return inside.split_once(quote).unwrap_or((inside, ""));
        }
    }
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(text.len());
    text.split_at(end)
}

/// Character references: the five everybody needs, and numbers.
fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let reference = after.split_once(';').filter(|(name, _)| name.len() <= 8);
        let read = reference.and_then(|(name, after)| Some((character(name)?, after)));
        if let Some((c, after)) = read {
            out.push(c);
            rest = after;
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => {}
    }
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests;
