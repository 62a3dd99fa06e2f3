// SPDX-License-Identifier: Apache-2.0
//! Three small worlds. Names and numbers are drawn at random; some members have no loans, some patients no visits and
//! some products no orders, so that careless joins show.

use gym_env::Rng;

type Make = fn(&mut Rng) -> String;

/// Name and maker of each database.
pub(crate) const ALL: [(&str, Make); 3] = [("library", library), ("clinic", clinic), ("shop", shop)];

const FIRST: [&str; 24] = [
    "Ada", "Bela", "Cleo", "Dario", "Edda", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mona", "Nils",
    "Olga", "Pavel", "Quinn", "Rosa", "Sami", "Tara", "Umar", "Vera", "Wim", "Yara",
];
const LAST: [&str; 20] = [
    "Abbot", "Berger", "Castell", "Dahl", "Eriksen", "Falk", "Grau", "Hansen", "Ito", "Jansen", "Kovac", "Lind",
    "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rossi", "Sato", "Torres",
];
const TOWNS: [&str; 6] = ["Aldern", "Brookfen", "Carrow", "Dunmere", "Eastwick", "Fallow"];

/// A table's rows as SQL.
struct Rows {
    table: &'static str,
    rows: Vec<String>,
}

impl Rows {
    fn new(table: &'static str) -> Self {
        Self { table, rows: Vec::new() }
    }

    fn push(&mut self, cells: &[String]) {
        self.rows.push(format!("({})", cells.join(", ")));
    }

    fn sql(&self) -> String {
        format!("INSERT INTO {} VALUES\n{};\n", self.table, self.rows.join(",\n"))
    }
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn number(value: i64) -> String {
    value.to_string()
}

/// Hundredths as a decimal number.
fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn pick<'a>(rng: &mut Rng, items: &[&'a str]) -> &'a str {
    rng.choose(items).expect("the lists of words are not empty")
}

/// A name that nobody has yet.
fn person(rng: &mut Rng, taken: &mut Vec<String>) -> String {
    let mut name = format!("{} {}", pick(rng, &FIRST), pick(rng, &LAST));
    while taken.contains(&name) {
        name = format!("{} {}", pick(rng, &FIRST), pick(rng, &LAST));
    }
    taken.push(name.clone());
    name
}

fn date(rng: &mut Rng, first_year: i64, last_year: i64) -> String {
    let (year, month, day) = (rng.between(first_year, last_year), rng.between(1, 12), rng.between(1, 28));
    text(&format!("{year}-{month:02}-{day:02}"))
}

fn library(rng: &mut Rng) -> String {
    let adjectives = ["Silent", "Golden", "Broken", "Hidden", "Distant", "Crooked", "Burning", "Frozen"];
    let nouns = ["Harbour", "Garden", "Mirror", "River", "Letter", "Orchard", "Tower", "Winter"];
    let genres = ["crime", "essay", "novel", "poetry", "travel"];
    let mut taken = Vec::new();
    let mut authors = Rows::new("authors");
    for id in 1..=14 {
        let name = person(rng, &mut taken);
        authors.push(&[number(id), text(&name), number(rng.between(1900, 1995))]);
    }
    let mut books = Rows::new("books");
    let mut titles = Vec::new();
    for id in 1..=48 {
        let mut title = format!("The {} {}", pick(rng, &adjectives), pick(rng, &nouns));
        while titles.contains(&title) {
            title = format!("The {} {}", pick(rng, &adjectives), pick(rng, &nouns));
        }
        titles.push(title.clone());
        // Author 14 has written nothing that the library owns.
        let (author, year, copies) = (rng.between(1, 13), rng.between(1950, 2024), rng.between(1, 6));
        books.push(&[number(id), text(&title), number(author), text(pick(rng, &genres)), number(year), number(copies)]);
    }
    let mut members = Rows::new("members");
    for id in 1..=30 {
        let name = person(rng, &mut taken);
        members.push(&[number(id), text(&name), text(pick(rng, &TOWNS)), date(rng, 2015, 2023)]);
    }
    let mut loans = Rows::new("loans");
    for id in 1..=120 {
        let taken_on = date(rng, 2024, 2025);
        let days = if rng.below(5) == 0 { "NULL".to_owned() } else { number(rng.between(1, 60)) };
        loans.push(&[number(id), number(rng.between(1, 48)), number(rng.between(1, 26)), taken_on, days]);
    }
    format!(
        "CREATE TABLE authors (author_id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER);\n\
         CREATE TABLE books (book_id INTEGER PRIMARY KEY, title TEXT NOT NULL, author_id INTEGER NOT NULL REFERENCES \
         authors, genre TEXT NOT NULL, year INTEGER NOT NULL, copies INTEGER NOT NULL);\n\
         CREATE TABLE members (member_id INTEGER PRIMARY KEY, name TEXT NOT NULL, town TEXT NOT NULL, joined TEXT NOT \
         NULL);\n\
         CREATE TABLE loans (loan_id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES books, member_id INTEGER \
         NOT NULL REFERENCES members, taken_on TEXT NOT NULL, days_kept INTEGER /* NULL: not returned yet */);\n\
         {}{}{}{}",
        authors.sql(),
        books.sql(),
        members.sql(),
        loans.sql()
    )
}

fn clinic(rng: &mut Rng) -> String {
    let fields = ["cardiology", "dermatology", "neurology", "paediatrics"];
    let complaints = ["check-up", "cough", "fever", "headache", "rash", "sprain"];
    let mut taken = Vec::new();
    let mut doctors = Rows::new("doctors");
    for id in 1..=9 {
        let name = person(rng, &mut taken);
        doctors.push(&[number(id), text(&name), text(pick(rng, &fields)), number(rng.between(45, 90) * 100)]);
    }
    let mut patients = Rows::new("patients");
    for id in 1..=40 {
        let name = person(rng, &mut taken);
        let insurer = if rng.below(4) == 0 { "NULL".to_owned() } else { text(pick(rng, &["Alba", "Borea", "Corvus"])) };
        patients.push(&[number(id), text(&name), number(rng.between(1940, 2020)), text(pick(rng, &TOWNS)), insurer]);
    }
    let mut visits = Rows::new("visits");
    for id in 1..=150 {
        let (doctor, patient) = (rng.between(1, 8), rng.between(1, 36));
        let (day, complaint) = (date(rng, 2024, 2025), text(pick(rng, &complaints)));
        visits.push(&[number(id), number(patient), number(doctor), day, complaint, money(rng.between(2_000, 30_000))]);
    }
    format!(
        "CREATE TABLE doctors (doctor_id INTEGER PRIMARY KEY, name TEXT NOT NULL, field TEXT NOT NULL, salary INTEGER \
         NOT NULL);\n\
         CREATE TABLE patients (patient_id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER NOT NULL, town TEXT NOT \
         NULL, insurer TEXT);\n\
         CREATE TABLE visits (visit_id INTEGER PRIMARY KEY, patient_id INTEGER NOT NULL REFERENCES patients, doctor_id \
         INTEGER NOT NULL REFERENCES doctors, day TEXT NOT NULL, complaint TEXT NOT NULL, fee REAL NOT NULL);\n\
         {}{}{}",
        doctors.sql(),
        patients.sql(),
        visits.sql()
    )
}

fn shop(rng: &mut Rng) -> String {
    let colours = ["amber", "black", "blue", "green", "red", "white"];
    let things = ["basket", "chair", "clock", "jug", "lamp", "vase"];
    let categories = ["furniture", "kitchen", "light"];
    let mut taken = Vec::new();
    let mut customers = Rows::new("customers");
    for id in 1..=30 {
        let name = person(rng, &mut taken);
        customers.push(&[number(id), text(&name), text(pick(rng, &TOWNS)), number(rng.between(0, 1))]);
    }
    let mut products = Rows::new("products");
    let mut names = Vec::new();
    for id in 1..=25 {
        let mut name = format!("{} {}", pick(rng, &colours), pick(rng, &things));
        while names.contains(&name) {
            name = format!("{} {}", pick(rng, &colours), pick(rng, &things));
        }
        names.push(name.clone());
        let price = money(rng.between(500, 20_000));
        products.push(&[number(id), text(&name), text(pick(rng, &categories)), price, number(rng.between(0, 40))]);
    }
    let mut orders = Rows::new("orders");
    let mut items = Rows::new("order_items");
    for id in 1..=90 {
        let status = text(pick(rng, &["cancelled", "delivered", "delivered", "open"]));
        orders.push(&[number(id), number(rng.between(1, 26)), date(rng, 2024, 2025), status]);
        let first = rng.between(1, 22);
        for position in 0..rng.between(1, 3) {
            items.push(&[number(id), number((first + 7 * position) % 22 + 1), number(rng.between(1, 5))]);
        }
    }
    format!(
        "CREATE TABLE customers (customer_id INTEGER PRIMARY KEY, name TEXT NOT NULL, town TEXT NOT NULL, is_business \
         INTEGER NOT NULL);\n\
         CREATE TABLE products (product_id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, price REAL \
         NOT NULL, stock INTEGER NOT NULL);\n\
         CREATE TABLE orders (order_id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers, ordered_on \
         TEXT NOT NULL, status TEXT NOT NULL);\n\
         CREATE TABLE order_items (order_id INTEGER NOT NULL REFERENCES orders, product_id INTEGER NOT NULL REFERENCES \
         products, quantity INTEGER NOT NULL, PRIMARY KEY (order_id, product_id));\n\
         {}{}{}{}",
        customers.sql(),
        products.sql(),
        orders.sql(),
        items.sql()
    )
}
