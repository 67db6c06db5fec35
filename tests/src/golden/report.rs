//! The comparison as it is printed.

use std::collections::BTreeMap;
use std::path::Path;

use super::compare::Difference;
use super::on_purpose::Reason;

/// How one case or vector came out in one column.
#[derive(Clone)]
pub enum Verdict {
    Agreed,
    OnPurpose(&'static Reason),
    Differs(Vec<Difference>),
    /// The own command line has no word for this setting.
    NotAsked(String),
}

#[derive(Clone, Copy, Default)]
struct Counts {
    agreed: usize,
    on_purpose: usize,
    differ: usize,
    not_asked: usize,
}

impl Counts {
    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Agreed => self.agreed += 1,
            Verdict::OnPurpose(_) => self.on_purpose += 1,
            Verdict::Differs(_) => self.differ += 1,
            Verdict::NotAsked(_) => self.not_asked += 1,
        }
    }
}

/// All that was compared.
#[derive(Default)]
pub struct Report {
    families: BTreeMap<String, [Counts; 2]>,
    sums: [Counts; 2],
    reasons: BTreeMap<&'static str, usize>,
    settings: BTreeMap<String, usize>,
    differing: [Vec<String>; 2],
    passed_over: Vec<String>,
}

impl Report {
    /// Adds one case: as `flyway`, and as our own verbs answered it, where they were asked.
    pub fn add(&mut self, id: &str, engine: &str, flyway: &Verdict, own: Option<&Verdict>) {
        let family = self.families.entry(id.split('/').next().unwrap_or_default().to_owned()).or_default();
        for (column, verdict) in [Some(flyway), own].into_iter().enumerate() {
            let Some(verdict) = verdict else { continue };
            family[column].count(verdict);
            self.sums[column].count(verdict);
            match verdict {
                Verdict::Agreed => {}
                Verdict::OnPurpose(reason) => *self.reasons.entry(reason.slug).or_default() += 1,
                Verdict::NotAsked(setting) => *self.settings.entry(setting.clone()).or_default() += 1,
                Verdict::Differs(differences) => {
                    let lines = differences.iter().map(|difference| format!("\n    {difference}"));
                    self.differing[column].push(format!("{engine}{id}{}", lines.collect::<String>()));
                }
            }
        }
    }

    /// There was nothing to play in this file.
    pub fn pass_over(&mut self, file: &Path) {
        self.passed_over.push(file.display().to_string());
    }

    /// How many files there was nothing to play in.
    pub fn passed_over(&self) -> usize {
        self.passed_over.len()
    }

    /// Whether anything differs that should not: as `flyway`, and as our own verbs answered.
    pub fn differs(&self) -> [bool; 2] {
        [!self.differing[0].is_empty(), !self.differing[1].is_empty()]
    }

    /// Families, differences, reasons, and the closing line.
    pub fn text(&self) -> String {
        let mut text = format!("{:<18} as flyway{:<17} own verbs\n", "", "");
        let columns = format!("{:>7} {:>8} {:>7}", "agreed", "purpose", "differ");
        text.push_str(&format!("{:<18} {columns}   {columns} {:>10}\n", "family", "not asked"));
        for (family, [flyway, own]) in &self.families {
            text.push_str(&format!(
                "{family:<18} {}   {} {:>10}\n",
                flyway.columns(),
                own.columns(),
                own.not_asked
            ));
        }
        for (title, differing) in ["as flyway", "own verbs"].iter().zip(&self.differing) {
            for difference in differing {
                text.push_str(&format!("\n{title}: {difference}\n"));
            }
        }
        text.push('\n');
        for (slug, count) in &self.reasons {
            text.push_str(&format!("on purpose: {slug} ({count}): docs/flyway.md says why\n"));
        }
        for (setting, count) in &self.settings {
            text.push_str(&format!("own verbs, not asked: no option for {setting} ({count})\n"));
        }
        for file in &self.passed_over {
            text.push_str(&format!("not played: neither cases nor vectors are in {file}\n"));
        }
        let [flyway, own] = self.sums;
        text.push_str(&format!("own verbs: {}\n{}\n", own.sentence(), flyway.sentence()));
        text
    }
}

impl Counts {
    fn columns(self) -> String {
        format!("{:>7} {:>8} {:>7}", self.agreed, self.on_purpose, self.differ)
    }

    fn sentence(self) -> String {
        format!("{} agreed, {} differ on purpose, {} differ", self.agreed, self.on_purpose, self.differ)
    }
}
