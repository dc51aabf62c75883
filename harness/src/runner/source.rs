//! Where the cases of a run come from.

use std::borrow::Cow;

use bn_cases::Case;

use crate::results::RunResults;

/// The cases of a run, in their order. A run asks for a case when it judges it and, where its results list it, once more
/// at the end, so that cases that can be made again need not be held.
pub trait Source: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The case with this number, from 0: the same one each time.
    ///
    /// # Panics
    /// When there are not as many.
    fn case(&self, index: usize) -> Cow<'_, Case>;

    /// Its id.
    fn id(&self, index: usize) -> Cow<'_, str> {
        of(self.case(index), |case| &case.id)
    }

    /// The name of its suite.
    fn suite(&self, index: usize) -> Cow<'_, str> {
        of(self.case(index), |case| &case.suite)
    }
}

/// A text of a case.
fn of(case: Cow<'_, Case>, text: fn(&Case) -> &str) -> Cow<'_, str> {
    match case {
        Cow::Borrowed(case) => Cow::Borrowed(text(case)),
        Cow::Owned(case) => Cow::Owned(text(&case).to_owned()),
    }
}

impl Source for [&Case] {
    fn len(&self) -> usize {
        <[&Case]>::len(self)
    }

    fn case(&self, index: usize) -> Cow<'_, Case> {
        Cow::Borrowed(self[index])
    }
}

impl Source for Vec<&Case> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn case(&self, index: usize) -> Cow<'_, Case> {
        Cow::Borrowed(self[index])
    }
}

/// Those cases of a run that its results list.
pub struct Listed<'a, S: ?Sized> {
    source: &'a S,
    indices: Vec<usize>,
}

impl<'a, S: Source + ?Sized> Listed<'a, S> {
    /// Of these results, which are of cases of `source`, in their order.
    pub fn of(results: &RunResults, source: &'a S) -> Self {
        let mut listed = results.cases.iter().peekable();
        let is_next = |index: &usize| listed.next_if(|case| case.id == source.id(*index)).is_some();
        Listed { source, indices: (0..source.len()).filter(is_next).collect() }
    }
}

impl<S: Source + ?Sized> Source for Listed<'_, S> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn case(&self, index: usize) -> Cow<'_, Case> {
        self.source.case(self.indices[index])
    }

    fn id(&self, index: usize) -> Cow<'_, str> {
        self.source.id(self.indices[index])
    }

    fn suite(&self, index: usize) -> Cow<'_, str> {
        self.source.suite(self.indices[index])
    }
}
