//! How the system does on each class, and the class to photograph next.

use serde::{Deserialize, Serialize};

use super::confusion::{Confusion, MOST_CLASSES};
use super::table::percent;
use super::{Outcome, Report, rounded};

/// Most rows of the table if there are too many classes to show all.
const WORST: usize = 5;

/// The system's results on the pictures of one class. Fractions have four decimals.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Class {
    name: String,
    /// Number of its pictures.
    pictures: usize,
    /// Share of its pictures that are answered rightly (recall); `None` if it has none.
    right: Option<f64>,
    /// Share of the pictures answered with this class that are of it; `None` if it is never an answer.
    precision: Option<f64>,
    /// Share of its pictures that an exit answers; `None` if it has none.
    edge: Option<f64>,
    /// The class that its pictures are most often taken for; `None` if all are answered rightly.
    taken_for: Option<String>,
}

/// The results of every class.
pub fn each(confusion: &Confusion, outcomes: &[Outcome]) -> Vec<Class> {
    let share =
        |part: usize, whole: usize| (whole > 0).then(|| rounded(part as f64 / whole as f64));
    let mut at_the_edge = vec![0; confusion.classes.len()];
    for outcome in outcomes.iter().filter(|outcome| outcome.ended.is_some()) {
        at_the_edge[outcome.label] += 1;
    }
    let of = |(index, class): (usize, &String)| {
        let (pictures, right) = (confusion.pictures(index), confusion.right(index));
        Class {
            name: class.clone(),
            pictures,
            right: share(right, pictures),
            precision: share(right, confusion.answers(index)),
            edge: share(at_the_edge[index], pictures),
            taken_for: confusion.taken_for(index).map(|other| confusion.classes[other].clone()),
        }
    };
    confusion.classes.iter().enumerate().map(of).collect()
}

impl Report {
    /// The table of classes, for the terminal only: all of them or, if they are many, the worst; and what to photograph next.
    /// It begins with an empty line. If every answer is right, there is nothing.
    pub fn by_class(&self) -> String {
        let mut wrong: Vec<&Class> =
            self.classes.iter().filter(|class| class.taken_for.is_some()).collect();
        wrong.sort_by(|a, b| a.right.unwrap_or(1.0).total_cmp(&b.right.unwrap_or(1.0)));
        let Some(worst) = wrong.first() else { return String::new() };
        let next = format!(
            "Photograph next: more of {} ({} right, most often taken for {})\n",
            worst.name,
            worst.right(),
            worst.taken_for()
        );
        let (title, rows) = if self.classes.len() <= MOST_CLASSES {
            ("class".to_owned(), self.classes.iter().collect())
        } else {
            wrong.truncate(WORST);
            (format!("worst {} of {} classes", wrong.len(), self.classes.len()), wrong)
        };
        let names = rows.iter().map(|row| row.name.chars().count());
        let width = names.chain([title.chars().count()]).max().unwrap_or(0);
        let line = |class: &str, pictures: &str, right: &str, taken_for: &str| {
            let line = format!("{class:<width$}{pictures:>11}{right:>10}   {taken_for}");
            line.trim_end().to_owned() + "\n"
        };
        let mut text = "\n".to_owned() + &line(&title, "pictures", "right", "most often taken for");
        for row in rows {
            text += &line(&row.name, &row.pictures.to_string(), &row.right(), row.taken_for());
        }
        text + "\n" + &next
    }
}

impl Class {
    fn right(&self) -> String {
        self.right.map_or("-".into(), percent)
    }

    fn taken_for(&self) -> &str {
        self.taken_for.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answered, report_of};
    use super::*;

    fn names(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    /// Rows as in the JSON.
    fn rows(classes: &[Class]) -> Vec<String> {
        classes.iter().map(|class| serde_json::to_string(class).unwrap()).collect()
    }

    #[test]
    fn each_class_has_recall_precision_and_share_at_the_edge() {
        let names = names("shirt skirt hat");
        let outcomes = [
            answered("one", [0, 0], 0.9, Some(0)),
            answered("one", [0, 0], 0.9, None),
            answered("one", [0, 1], 0.9, None),
            answered("one", [1, 1], 0.9, Some(0)),
        ];
        let classes = each(&Confusion::of(&names, &outcomes), &outcomes);
        let expected = [
            r#"{"name":"shirt","pictures":3,"right":0.6667,"precision":1.0,"edge":0.3333,"taken_for":"skirt"}"#,
            r#"{"name":"skirt","pictures":1,"right":1.0,"precision":0.5,"edge":1.0,"taken_for":null}"#,
            // It has no picture and is never an answer.
            r#"{"name":"hat","pictures":0,"right":null,"precision":null,"edge":null,"taken_for":null}"#,
        ];
        assert_eq!(rows(&classes), expected);
    }

    #[test]
    fn the_terminal_shows_every_class_and_what_to_photograph_next() {
        let outcomes = [
            answered("one", [0, 0], 0.9, Some(0)),
            answered("one", [0, 1], 0.9, Some(0)),
            answered("one", [1, 1], 0.9, None),
            answered("one", [1, 2], 0.9, None),
            answered("one", [1, 0], 0.9, None),
        ];
        let text = report_of(&names("shirt evening-dress hat"), &outcomes).by_class();
        let expected = "
class           pictures     right   most often taken for
shirt                  2    50.00%   evening-dress
evening-dress          3    33.33%   shirt
hat                    0         -

Photograph next: more of evening-dress (33.33% right, most often taken for shirt)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn of_many_classes_the_terminal_shows_the_worst() {
        let names: Vec<String> = (0..100).map(|class| format!("class-{class}")).collect();
        // Classes 40 to 49 are right once in two, 7 never, and the others always.
        let half = (40..50).flat_map(|class| [[class, class], [class, 3]]);
        let all = (0..40).chain(50..100).map(|class| [class, if class == 7 { 99 } else { class }]);
        let outcomes: Vec<_> =
            half.chain(all).map(|pair| answered("one", pair, 0.9, Some(0))).collect();
        let text = report_of(&names, &outcomes).by_class();
        let expected = "
worst 5 of 100 classes   pictures     right   most often taken for
class-7                         1     0.00%   class-99
class-40                        2    50.00%   class-3
class-41                        2    50.00%   class-3
class-42                        2    50.00%   class-3
class-43                        2    50.00%   class-3

Photograph next: more of class-7 (0.00% right, most often taken for class-99)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn without_a_mistake_there_is_nothing_to_show() {
        let outcomes = [answered("one", [0, 0], 0.9, Some(0))];
        assert_eq!(report_of(&names("shirt skirt"), &outcomes).by_class(), "");
    }
}
