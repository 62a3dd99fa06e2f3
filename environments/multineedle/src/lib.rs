// SPDX-License-Identifier: Apache-2.0
//! Facts hidden in a long text, to be found with tools. See the README for the reward rule.

mod document;
mod words;

use gym_env::{Attempt, Context, Failure, Refuse, Reject, Schema, ToolResult, Verdict, resources_server};
use serde::{Deserialize, Serialize};

pub use document::{Document, Question, Spec};

/// Pages that one search names.
const MAX_HITS: usize = 20;

/// One session: the text, and what may be asked of it.
#[derive(Debug)]
pub struct MultiNeedle {
    document: Document,
    /// The pages in lower case, for searching.
    searchable: Vec<String>,
}

/// What the dataset row says.
#[derive(Debug, Deserialize, Schema)]
struct Task {
    /// Which text it is, and how many facts are asked for.
    document: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    grading: Grading,
}

/// What an attempt that found some of the facts gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Grading {
    /// Nothing.
    #[default]
    All,
    /// Its share.
    Fraction,
}

#[derive(Debug, Serialize)]
struct Outline {
    pages: usize,
    words: usize,
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    page: u64,
    text: &'a str,
}

#[derive(Debug, Serialize)]
struct Hits {
    pages: Vec<usize>,
    more: bool,
}

#[derive(Debug, Serialize)]
struct Submitted {
    submitted: usize,
}

#[derive(Debug, Deserialize)]
struct Submission {
    answers: Vec<String>,
}

/// The row's text, if there may be one.
fn document(spec: Spec) -> Result<Document, Refuse> {
    match spec.problem() {
        None => Ok(Document::new(spec)),
        Some(problem) => Err(Refuse::new(422, problem)),
    }
}

/// Whether an answer is the fact: the same in any case of letters, without white space and quotes around it.
fn is_fact(answer: &str, fact: &str) -> bool {
    let answer = answer.trim().trim_matches(['"', '\'', '`', '.']).trim();
    answer.to_lowercase() == fact
}

/// The last submission with the right number of answers.
fn submission<T>(attempt: &Attempt<T>, facts: usize) -> Option<Vec<String>> {
    let submissions = attempt.function_calls().rev().filter(|call| call.name().as_deref() == Some("submit_answers"));
    submissions
        .filter_map(|call| call.read_arguments::<Submission>().ok())
        .map(|submission| submission.answers)
        .find(|answers| answers.len() == facts)
}

#[resources_server(verify = "call", reverify = "stateless", config = Config, scores(accuracy = "reward"))]
impl MultiNeedle {
    #[seed_session]
    fn seed(task: Task) -> Result<Self, Failure> {
        let document = document(task.document)?;
        let searchable = document.pages.iter().map(|page| page.to_lowercase()).collect();
        Ok(Self { document, searchable })
    }

    /// Get the length of the text: how many pages and words it has. Pages are numbered from 1.
    #[tool]
    fn get_outline(&self) -> Outline {
        Outline { pages: self.document.pages.len(), words: self.document.words() }
    }

    /// Read one page of the text.
    #[tool]
    fn read_page(
        &self,
        /// The page's number; the first page is 1.
        page: u64,
    ) -> ToolResult<Page<'_>> {
        let index = page.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.document.pages.get(index)) {
            Some(text) => Ok(Page { page, text }),
            None => {
                Err(Reject::new(format!("there is no page {page}: the text has {}", self.document.pages.len())).into())
            }
        }
    }

    /// Find the pages on which all of these words occur, in any order and any case of letters. It names at most 20
    /// pages.
    #[tool]
    fn search(
        &self,
        /// The words, for example `bell tower gate`.
        words: String,
    ) -> ToolResult<Hits> {
        let words: Vec<String> = words.to_lowercase().split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err(Reject::new("there are no words to look for").into());
        }
        if words.len() > 16 {
            return Err(Reject::new("there are more than 16 words to look for").into());
        }
        let has_all = |page: &&String| words.iter().all(|word| page.contains(word.as_str()));
        let numbered = (1..).zip(&self.searchable).filter(|(_, page)| has_all(page));
        let mut pages: Vec<usize> = numbered.map(|(number, _)| number).take(MAX_HITS + 1).collect();
        let more = pages.len() > MAX_HITS;
        pages.truncate(MAX_HITS);
        Ok(Hits { pages, more })
    }

    /// Submit the answers to all questions. The last submission counts.
    #[tool]
    fn submit_answers(
        &self,
        /// One answer for each question, in the order of the questions.
        answers: Vec<String>,
    ) -> ToolResult<Submitted> {
        let (given, wanted) = (answers.len(), self.document.questions.len());
        if given != wanted {
            return Err(
                Reject::new(format!("there are {wanted} questions and {given} answers; submit all together")).into()
            );
        }
        Ok(Submitted { submitted: given })
    }

    #[verify]
    fn verify(attempt: &Attempt<Task>, cx: &mut Context) -> Result<Verdict, Failure> {
        let config = cx.config::<Config>()?;
        let document = document(attempt.task.document)?;
        let submission = submission(attempt, document.answers.len());
        let found: Vec<bool> = match &submission {
            Some(answers) => {
                answers.iter().zip(&document.answers).map(|(answer, fact)| is_fact(answer, fact)).collect()
            }
            None => vec![false; document.answers.len()],
        };
        let count = found.iter().filter(|found| **found).count();
        let reward = match config.grading {
            Grading::All if count == found.len() => 1.0,
            Grading::All => 0.0,
            Grading::Fraction => count as f64 / found.len() as f64,
        };
        Ok(Verdict::new(reward)
            .field("facts_found", count)
            .field("facts_wanted", found.len())
            .field("found", found)
            .field("submitted_answers", submission))
    }
}

#[cfg(test)]
mod tests;
