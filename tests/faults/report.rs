//! Figures, their bounds, and the one line that says both.

use std::fmt;

/// What one run of a row came to. Figures stand in the line in the order in which they were added.
#[derive(Debug, Default)]
pub struct Report {
    case: Option<String>,
    figures: Vec<(String, String)>,
    broken: Vec<String>,
}

impl Report {
    pub fn new() -> Self {
        Self::default()
    }

    /// One of several lines of a row, which this word tells from the others.
    pub fn of(case: impl Into<String>) -> Self {
        Self { case: Some(case.into()), ..Self::default() }
    }

    /// A figure without a bound.
    pub fn figure(&mut self, name: &str, figure: impl fmt::Display) -> &mut Self {
        self.figures.push((name.to_owned(), figure.to_string()));
        self
    }

    /// Seconds, or anything else with a fraction, without a bound.
    pub fn measurement(&mut self, name: &str, figure: f64) -> &mut Self {
        self.figure(name, rounded(figure))
    }

    /// Must not be more than this.
    pub fn at_most<T: PartialOrd + Into<f64>>(&mut self, name: &str, is: T, most: T) -> &mut Self {
        self.compare(name, is.into(), most.into(), '>', |is, most| is <= most)
    }

    /// Must not be less than this.
    pub fn at_least<T: PartialOrd + Into<f64>>(
        &mut self,
        name: &str,
        is: T,
        least: T,
    ) -> &mut Self {
        self.compare(name, is.into(), least.into(), '<', |is, least| is >= least)
    }

    /// Must not happen: a count that is 0.
    pub fn never(&mut self, name: &str, count: usize) -> &mut Self {
        self.equals(name, count, 0)
    }

    /// Must be exactly this.
    pub fn equals(&mut self, name: &str, is: usize, must: usize) -> &mut Self {
        if is != must {
            self.broken.push(format!("{name}={is}!={must}"));
        }
        self.figure(name, is)
    }

    /// A timing, which depends on the machine: what is promised is printed where it is not kept, and the
    /// run fails at `ci`, which allows for a debug build on two cores that others use, too.
    pub fn within(&mut self, name: &str, is: f64, promise: f64, ci: f64) -> &mut Self {
        if is > ci {
            self.broken.push(format!("{name}={}>{}", rounded(is), rounded(ci)));
        }
        let over =
            if is > promise { format!("(promised {})", rounded(promise)) } else { String::new() };
        self.figure(name, format!("{}{over}", rounded(is)))
    }

    /// Must be so.
    pub fn must(&mut self, name: &str, so: bool) -> &mut Self {
        if !so {
            self.broken.push(format!("{name}=no"));
        }
        self.figure(name, if so { "yes" } else { "no" })
    }

    pub fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// The line, behind the words that name the run.
    pub fn line(&self, run: &str) -> String {
        let mut words = vec![run.to_owned()];
        words.extend(self.case.clone());
        words.extend(self.figures.iter().map(|(name, figure)| format!("{name}={figure}")));
        if self.broken.is_empty() {
            words.push("ok".to_owned());
        } else {
            words.push(format!("BROKEN {}", self.broken.join(" ")));
        }
        words.join(" ")
    }

    fn compare(
        &mut self,
        name: &str,
        is: f64,
        bound: f64,
        sign: char,
        holds: fn(f64, f64) -> bool,
    ) -> &mut Self {
        if !holds(is, bound) {
            self.broken.push(format!("{name}={}{sign}{}", rounded(is), rounded(bound)));
        }
        self.figure(name, rounded(is))
    }
}

/// Whole numbers whole, others with two digits.
fn rounded(figure: f64) -> String {
    let text = format!("{figure:.2}");
    text.strip_suffix(".00").map(str::to_owned).unwrap_or(text)
}
