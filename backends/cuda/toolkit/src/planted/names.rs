//! The names of functions that lines were inlined from, at the end of a PTX file.

use std::collections::BTreeSet;

/// What such a name's label begins with.
const LABEL: &str = "$L__info_string";

/// The PTX without the names that no line refers to: those of the kernels that were not kept, most of a small file.
pub fn without_unused(ptx: &str) -> String {
    let used: BTreeSet<&str> = ptx.lines().filter(|line| !line.starts_with(LABEL)).flat_map(labels).collect();
    let mut dropping = false;
    let kept = ptx.split_inclusive('\n').filter(|line| {
        if let Some(label) = line.trim_end().strip_suffix(':').filter(|label| label.starts_with(LABEL)) {
            dropping = !used.contains(label);
        } else if !line.starts_with(".b8 ") {
            dropping = false;
        }
        !dropping
    });
    kept.collect()
}

/// The labels of names in a line.
fn labels(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', ',', '\t']).filter(|word| word.starts_with(LABEL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_line_refers_to_stay() {
        let code = "\t.loc\t2 31 5, function_name $L__info_string1, inlined_at 1 96 1\n\tret;\n";
        let names = |names: &str| format!("{code}\t.section\t.debug_str\n\t{{\n{names}\n\t}}\n");
        let one = "$L__info_string1:\n.b8 96\n.b8 0\n";
        let ptx = names(&format!("$L__info_string0:\n.b8 95,0\n{one}$L__info_string11:\n.b8 97,0\n"));
        let kept = names(one);
        assert_eq!(without_unused(&ptx), kept);
        assert_eq!(without_unused(&kept), kept);
    }
}
