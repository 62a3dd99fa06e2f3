// SPDX-License-Identifier: Apache-2.0
//! From text to the tree of a pattern.

use std::rc::Rc;

use super::{
    Case, PatternError,
    letters::{Class, Member, One, fold},
};

/// Groups may be nested this deep.
const MAX_DEPTH: usize = 64;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// One character.
    One(One),
    /// A place, not a character.
    Place(Place),
    /// Parts one after the other.
    Sequence(Vec<Node>),
    /// One of several, the first that leads on.
    Choice(Vec<Node>),
    /// Keeps what its part took, under a number.
    Group(usize, Box<Node>),
    /// A part again and again.
    Repeat {
        /// The part.
        node: Box<Node>,
        /// At least so often.
        least: u32,
        /// At most so often.
        most: Option<u32>,
        /// Whether as often as possible, or as seldom.
        greedy: bool,
    },
    /// A part that is not tried in another way once it has matched.
    Atomic(Box<Node>),
    /// A part that must, or must not, match here, without taking anything.
    Look {
        /// The part.
        node: Box<Node>,
        /// Whether before this place.
        behind: bool,
        /// Whether it must not match.
        negated: bool,
    },
    /// What a group took, again.
    Back {
        /// The group.
        group: usize,
        /// In any case.
        folded: bool,
    },
    /// One of two parts, by whether a group took part.
    If {
        /// The group.
        group: usize,
        /// If it did.
        yes: Box<Node>,
        /// If it did not.
        no: Box<Node>,
    },
}

/// A place in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// The beginning.
    Start,
    /// The end.
    End,
    /// The end, or before a line break at the end.
    LastEnd,
    /// The beginning of a line.
    LineStart,
    /// The end of a line.
    LineEnd,
    /// Where a word begins or ends.
    WordEdge,
    /// Anywhere else.
    NoWordEdge,
}

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) node: Node,
    /// How many groups there are, without group 0.
    pub(super) groups: usize,
}

#[derive(Clone, Copy)]
struct Flags {
    folded: bool,
    lines: bool,
    dot_takes_all: bool,
    verbose: bool,
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    groups: usize,
    closed: Vec<bool>,
    names: Vec<(String, usize)>,
    depth: usize,
}

fn invalid<T>(reason: impl Into<String>) -> Result<T, PatternError> {
    Err(PatternError::Invalid(reason.into()))
}

pub(super) fn parse(pattern: &str, case: Case) -> Result<Parsed, PatternError> {
    let chars = pattern.chars().collect();
    let mut parser = Parser { chars, at: 0, groups: 0, closed: vec![false], names: Vec::new(), depth: 0 };
    let mut flags = Flags { folded: case == Case::Ignored, lines: false, dot_takes_all: false, verbose: false };
    parser.leading_flags(&mut flags)?;
    let node = parser.choice(flags)?;
    match parser.peek() {
        None => Ok(Parsed { node, groups: parser.groups }),
        Some(_) => invalid("a parenthesis is closed that is not open"),
    }
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(index, c)| self.chars.get(self.at + index) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    /// Flags for the whole pattern stand at its beginning.
    fn leading_flags(&mut self, flags: &mut Flags) -> Result<(), PatternError> {
        while self.eat("(?") {
            let start = self.at;
            match self.flags(*flags)? {
                Some((changed, ')')) => *flags = changed,
                _ => {
                    self.at = start - 2;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Flags up to `)` or `:`; none if this is something else.
    fn flags(&mut self, mut flags: Flags) -> Result<Option<(Flags, char)>, PatternError> {
        let mut on = true;
        let mut any = false;
        while let Some(c) = self.next() {
            match c {
                'i' => flags.folded = on,
                'm' => flags.lines = on,
                's' => flags.dot_takes_all = on,
                'x' => flags.verbose = on,
                'a' | 'u' | 'L' if on => {}
                '-' if on => on = false,
                ')' if any && on => return Ok(Some((flags, c))),
                ':' => return Ok(Some((flags, c))),
                _ => return Ok(None),
            }
            any = true;
        }
        invalid("flags are not closed")
    }

    fn choice(&mut self, flags: Flags) -> Result<Node, PatternError> {
        let mut choices = vec![self.sequence(flags)?];
        while self.eat("|") {
            choices.push(self.sequence(flags)?);
        }
        Ok(if choices.len() == 1 { choices.remove(0) } else { Node::Choice(choices) })
    }

    fn sequence(&mut self, flags: Flags) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            if flags.verbose && self.skip_space() {
                continue;
            }
            let Some(node) = self.item(flags)? else { continue };
            let node = self.repetition(node, flags)?;
            nodes.push(node);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Sequence(nodes) })
    }

    /// Passes over white space and comments of a verbose pattern.
    fn skip_space(&mut self) -> bool {
        match self.peek() {
            Some(c) if " \t\n\r\u{b}\u{c}".contains(c) => self.at += 1,
            Some('#') => while self.next().is_some_and(|c| c != '\n') {},
            _ => return false,
        }
        true
    }

    fn item(&mut self, flags: Flags) -> Result<Option<Node>, PatternError> {
        let Some(c) = self.next() else { return invalid("it ends early") };
        Ok(Some(match c {
            '.' if flags.dot_takes_all => Node::One(One::Any),
            '.' => Node::One(One::InLine),
            '^' => Node::Place(if flags.lines { Place::LineStart } else { Place::Start }),
            '$' => Node::Place(if flags.lines { Place::LineEnd } else { Place::LastEnd }),
            '[' => self.class(flags)?,
            '\\' => self.escape(flags)?,
            '(' => return self.group(flags),
            '*' | '+' | '?' => return invalid("there is nothing to repeat"),
            '{' if self.counts().is_some() => return invalid("there is nothing to repeat"),
            c => character(c, flags),
        }))
    }

    /// The repetition that follows a part, if one does.
    fn repetition(&mut self, node: Node, flags: Flags) -> Result<Node, PatternError> {
        while flags.verbose && self.skip_space() {}
        let start = self.at;
        let (least, most) = match self.next() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts() {
                Some(counts) => counts,
                None => {
                    self.at = start;
                    return Ok(node);
                }
            },
            _ => {
                self.at = start;
                return Ok(node);
            }
        };
        if most.is_some_and(|most| most < least) {
            return invalid("a repetition has its bounds in the wrong order");
        }
        if matches!(node, Node::Place(_)) {
            return invalid("there is nothing to repeat");
        }
        let greedy = !self.eat("?");
        let possessive = greedy && self.eat("+");
        let node = Node::Repeat { node: Box::new(node), least, most, greedy };
        let node = if possessive { Node::Atomic(Box::new(node)) } else { node };
        match self.peek() {
            Some('*' | '+' | '?') => invalid("a repetition is repeated"),
            Some('{') => {
                self.at += 1;
                let again = self.counts().is_some();
                self.at = if again { self.at } else { self.at - 1 };
                if again { invalid("a repetition is repeated") } else { Ok(node) }
            }
            _ => Ok(node),
        }
    }

    /// The counts of `{n}`, `{n,}`, `{,m}` or `{n,m}` after the brace; otherwise nothing, and nothing is taken.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let start = self.at;
        let mut number = || {
            let mut digits = String::new();
            while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
                digits.push(digit);
                self.at += 1;
            }
            digits
        };
        let least = number();
        let counts = if self.eat(",") {
            let mut digits = String::new();
            while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
                digits.push(digit);
                self.at += 1;
            }
            // A count that is no u32 is beyond every bound, and so is refused when the program is made.
            let most = (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX));
            Some((if least.is_empty() { 0 } else { least.parse().unwrap_or(u32::MAX) }, most))
        } else if least.is_empty() {
            None
        } else {
            let count = least.parse().unwrap_or(u32::MAX);
            Some((count, Some(count)))
        };
        if counts.is_some() && self.eat("}") {
            return counts;
        }
        self.at = start;
        None
    }

    fn group(&mut self, flags: Flags) -> Result<Option<Node>, PatternError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return invalid("its groups are nested too deeply");
        }
        let node = if !self.eat("?") {
            Some(self.numbered(flags, None)?)
        } else if self.eat("#") {
            while self.peek().is_some_and(|c| c != ')') {
                self.at += 1;
            }
            None
        } else if self.eat("P<") {
            let name = self.name('>')?;
            Some(self.numbered(flags, Some(name))?)
        } else if self.eat("P=") {
            let name = self.name(')')?;
            self.at -= 1;
            let group = self.reference(&name)?;
            Some(Node::Back { group, folded: flags.folded })
        } else if self.eat("(") {
            let name = self.name(')')?;
            let group = match name.parse::<usize>() {
                Ok(group) => group,
                Err(_) => self.reference(&name)?,
            };
            let yes = Box::new(self.sequence(flags)?);
            let no = Box::new(if self.eat("|") { self.sequence(flags)? } else { Node::Sequence(Vec::new()) });
            Some(Node::If { group, yes, no })
        } else if self.eat(">") {
            Some(Node::Atomic(Box::new(self.choice(flags)?)))
        } else {
            let look = [("<=", true, false), ("<!", true, true), ("=", false, false), ("!", false, true)];
            match look.into_iter().find(|(text, ..)| self.eat(text)) {
                Some((_, behind, negated)) => {
                    let node = Box::new(self.choice(flags)?);
                    if behind && node.width().is_none() {
                        return invalid("look-behind has no fixed width");
                    }
                    Some(Node::Look { node, behind, negated })
                }
                None => match self.flags(flags)? {
                    // A sequence of one, so that a place in a group may be repeated.
                    Some((inner, ':')) => Some(Node::Sequence(vec![self.choice(inner)?])),
                    Some(_) => return invalid("flags for all of the pattern are not at its beginning"),
                    None => return invalid("there is no such kind of group"),
                },
            }
        };
        if !self.eat(")") {
            return invalid("a parenthesis is not closed");
        }
        self.depth -= 1;
        Ok(node)
    }

    fn numbered(&mut self, flags: Flags, name: Option<String>) -> Result<Node, PatternError> {
        self.groups += 1;
        let number = self.groups;
        self.closed.push(false);
        if let Some(name) = name {
            if self.names.iter().any(|(known, _)| *known == name) {
                return invalid(format!("there are two groups `{name}`"));
            }
            self.names.push((name, number));
        }
        let node = self.choice(flags)?;
        self.closed[number] = true;
        Ok(Node::Group(number, Box::new(node)))
    }

    fn name(&mut self, end: char) -> Result<String, PatternError> {
        let mut name = String::new();
        while let Some(c) = self.next() {
            if c == end {
                return if name.is_empty() { invalid("a name is missing") } else { Ok(name) };
            }
            if !crate::text::is_word(c) {
                break;
            }
            name.push(c);
        }
        invalid("a name is not closed")
    }

    fn reference(&self, name: &str) -> Result<usize, PatternError> {
        match self.names.iter().find(|(known, _)| known == name) {
            Some((_, group)) if self.closed[*group] => Ok(*group),
            _ => invalid(format!("there is no group `{name}` before this place")),
        }
    }

    fn class(&mut self, flags: Flags) -> Result<Node, PatternError> {
        let negated = self.eat("^");
        let mut members = Vec::new();
        let first = self.at;
        loop {
            let Some(c) = self.next() else { return invalid("a class is not closed") };
            if c == ']' && self.at > first + 1 {
                break;
            }
            let low = if c == '\\' { self.class_escape()? } else { Member::Range(c, c) };
            let is_range = self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']');
            if !is_range {
                members.push(low);
                continue;
            }
            self.at += 1;
            let high = match self.next() {
                Some('\\') => self.class_escape()?,
                Some(c) => Member::Range(c, c),
                None => return invalid("a class is not closed"),
            };
            match (low, high) {
                (Member::Range(low, _), Member::Range(high, _)) if low <= high => {
                    members.push(Member::Range(low, high))
                }
                _ => return invalid("a range in a class makes no sense"),
            }
        }
        Ok(Node::One(One::In(Rc::new(Class { members, negated, folded: flags.folded }))))
    }

    fn class_escape(&mut self) -> Result<Member, PatternError> {
        let Some(c) = self.next() else { return invalid("it ends in a backslash") };
        if let Some(member) = shorthand(c) {
            return Ok(member);
        }
        let c = match c {
            'b' => '\u{8}',
            '0'..='7' => self.octal(c)?,
            c => self.plain_escape(c)?,
        };
        Ok(Member::Range(c, c))
    }

    fn escape(&mut self, flags: Flags) -> Result<Node, PatternError> {
        let Some(c) = self.next() else { return invalid("it ends in a backslash") };
        if let Some(member) = shorthand(c) {
            return Ok(Node::One(One::In(Rc::new(Class { members: vec![member], negated: false, folded: false }))));
        }
        let place = match c {
            'A' => Some(Place::Start),
            'Z' => Some(Place::End),
            'b' => Some(Place::WordEdge),
            'B' => Some(Place::NoWordEdge),
            _ => None,
        };
        if let Some(place) = place {
            return Ok(Node::Place(place));
        }
        if c == '0' {
            return Ok(character(self.octal(c)?, flags));
        }
        if let Some(digit) = c.to_digit(10) {
            let mut group = digit as usize;
            if let Some(second) = self.peek().and_then(|c| c.to_digit(10)) {
                self.at += 1;
                group = group * 10 + second as usize;
            }
            if !self.closed.get(group).is_some_and(|closed| *closed) {
                return invalid(format!("there is no group {group} before this place"));
            }
            return Ok(Node::Back { group, folded: flags.folded });
        }
        Ok(character(self.plain_escape(c)?, flags))
    }

    /// The character that an escape stands for everywhere.
    fn plain_escape(&mut self, c: char) -> Result<char, PatternError> {
        Ok(match c {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => self.code_point(2)?,
            'u' => self.code_point(4)?,
            'U' => self.code_point(8)?,
            c if c.is_ascii_alphanumeric() => return invalid(format!("there is no escape `\\{c}`")),
            c => c,
        })
    }

    fn code_point(&mut self, digits: usize) -> Result<char, PatternError> {
        let mut code = 0;
        for _ in 0..digits {
            match self.next().and_then(|c| c.to_digit(16)) {
                Some(digit) => code = code * 16 + digit,
                None => return invalid("a code point is not written out"),
            }
        }
        char::from_u32(code).map_or_else(|| invalid("there is no such code point"), Ok)
    }

    fn octal(&mut self, first: char) -> Result<char, PatternError> {
        let mut code = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
            self.at += 1;
            code = code * 8 + digit;
        }
        char::from_u32(code).map_or_else(|| invalid("there is no such code point"), Ok)
    }
}

fn shorthand(c: char) -> Option<Member> {
    Some(match c {
        'd' => Member::Digit(true),
        'D' => Member::Digit(false),
        's' => Member::Space(true),
        'S' => Member::Space(false),
        'w' => Member::Word(true),
        'W' => Member::Word(false),
        _ => return None,
    })
}

fn character(c: char, flags: Flags) -> Node {
    Node::One(if flags.folded { One::IsFolded(fold(c)) } else { One::Is(c) })
}

impl Node {
    /// How many characters it always takes; none if that depends.
    pub(super) fn width(&self) -> Option<usize> {
        match self {
            Self::One(_) => Some(1),
            Self::Place(_) | Self::Look { .. } => Some(0),
            Self::Sequence(nodes) => nodes.iter().map(Self::width).sum(),
            Self::Choice(nodes) => {
                let width = nodes.first()?.width();
                nodes.iter().all(|node| node.width() == width).then_some(width)?
            }
            Self::Group(_, node) | Self::Atomic(node) => node.width(),
            Self::Repeat { node, least, most, .. } => match node.width()? {
                0 => Some(0),
                width => (*most == Some(*least)).then(|| width.checked_mul(*least as usize))?,
            },
            Self::Back { .. } => None,
            Self::If { yes, no, .. } => yes.width().filter(|width| no.width() == Some(*width)),
        }
    }

    /// Whether it may take nothing.
    pub(super) fn may_be_empty(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Place(_) | Self::Look { .. } | Self::Back { .. } => true,
            Self::Sequence(nodes) => nodes.iter().all(Self::may_be_empty),
            Self::Choice(nodes) => nodes.iter().any(Self::may_be_empty),
            Self::Group(_, node) | Self::Atomic(node) => node.may_be_empty(),
            Self::Repeat { node, least, .. } => *least == 0 || node.may_be_empty(),
            Self::If { yes, no, .. } => yes.may_be_empty() || no.may_be_empty(),
        }
    }
}
