//! What mistakes backends seem to make, of several runs together.

use crate::merge::Source;
use crate::results::{BackendColumn, BackendDiagnosis, CaseResult, Explanation, LeftOut, Suspicion, Verdict};

/// One entry for each backend that fails a case, in the order of the columns.
pub fn merge(
    sources: &[Source],
    backends: &[BackendColumn],
    results: &[CaseResult],
    left_out: &LeftOut,
) -> Vec<BackendDiagnosis> {
    let of = |backend: &BackendColumn| {
        let fails = |name: &str, verdict| name == backend.name && verdict == Verdict::Fail;
        let listed = results.iter().filter(|result| fails(&result.backend, result.verdict)).count();
        let failing = listed + left_out.count_of(|more| fails(&more.backend, more.verdict));
        let all = sources.iter().flat_map(|source| &source.results.diagnoses);
        let mut found = all.filter(|diagnosis| diagnosis.backend == backend.name).peekable();
        if failing == 0 || found.peek().is_none() {
            return None;
        }
        let mut merged = BackendDiagnosis {
            backend: backend.name.clone(),
            failing,
            replayed: 0,
            explanations: Vec::new(),
        };
        for diagnosis in found {
            merged.replayed += diagnosis.replayed;
            for explanation in &diagnosis.explanations {
                add(&mut merged.explanations, explanation);
            }
        }
        // A run that was replaced by a later one had its failures replayed as well.
        merged.replayed = merged.replayed.min(failing);
        for explanation in &mut merged.explanations {
            explanation.explains = explanation.explains.min(merged.replayed);
        }
        merged.explanations.sort_by_key(|explanation| std::cmp::Reverse(explanation.explains));
        Some(merged)
    };
    backends.iter().filter_map(of).collect()
}

/// Adds what explains some failures of one run to what explains those of others: to the same mistake, where there is
/// one that both name first.
fn add(explanations: &mut Vec<Explanation>, more: &Explanation) {
    let first = |explanation: &Explanation| explanation.alike.first().map(|first| first.mistakes.clone());
    let Some(known) = explanations.iter_mut().find(|known| first(known) == first(more)) else {
        explanations.push(more.clone());
        return;
    };
    known.explains += more.explains;
    let both = |suspicion: &Suspicion| {
        let other = more.alike.iter().find(|other| other.mistakes == suspicion.mistakes)?;
        Some(Suspicion {
            mistakes: suspicion.mistakes.clone(),
            explains: suspicion.explains + other.explains,
            contradicted: suspicion.contradicted + other.contradicted,
            fit: suspicion.fit.max(other.fit),
        })
    };
    // What cannot be told apart by the one may be by the other.
    known.alike = known.alike.iter().filter_map(both).collect();
}
