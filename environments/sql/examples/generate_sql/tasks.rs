// SPDX-License-Identifier: Apache-2.0
//! The questions. Each has a right query, another right one that is written differently, and one with a typical mistake.

/// One question.
pub(crate) struct Task {
    pub(crate) database: &'static str,
    pub(crate) question: &'static str,
    pub(crate) gold: &'static str,
    pub(crate) other_right: &'static str,
    /// What is wrong with `wrong`.
    pub(crate) mistake: &'static str,
    pub(crate) wrong: &'static str,
}

const fn task(
    database: &'static str,
    question: &'static str,
    [gold, other_right, wrong]: [&'static str; 3],
    mistake: &'static str,
) -> Task {
    Task { database, question, gold, other_right, mistake, wrong }
}

/// All questions.
pub(crate) fn all() -> Vec<Task> {
    [library(), clinic(), shop()].into_iter().flatten().collect()
}

fn library() -> Vec<Task> {
    const DB: &str = "library";
    vec![
        task(
            DB,
            "How many different books of the genre crime does the library own?",
            [
                "SELECT count(*) FROM books WHERE genre = 'crime'",
                "SELECT sum(genre = 'crime') FROM books",
                "SELECT sum(copies) FROM books WHERE genre = 'crime'",
            ],
            "copies are counted, not books",
        ),
        task(
            DB,
            "Which members have never borrowed anything? Give their names.",
            [
                "SELECT name FROM members WHERE member_id NOT IN (SELECT member_id FROM loans)",
                "SELECT m.name FROM members m LEFT JOIN loans l ON l.member_id = m.member_id WHERE l.loan_id IS NULL",
                "SELECT m.name FROM members m JOIN loans l ON l.member_id = m.member_id WHERE l.days_kept IS NULL",
            ],
            "those with open loans",
        ),
        task(
            DB,
            "List the name of every author with the number of books by that author that the library owns, also when there \
             are none.",
            [
                "SELECT a.name, count(b.book_id) FROM authors a LEFT JOIN books b ON b.author_id = a.author_id GROUP BY \
                 a.author_id",
                "SELECT name, (SELECT count(*) FROM books b WHERE b.author_id = a.author_id) AS owned FROM authors a \
                 ORDER BY name",
                "SELECT a.name, count(*) FROM authors a JOIN books b ON b.author_id = a.author_id GROUP BY a.author_id",
            ],
            "authors without books are missing",
        ),
        task(
            DB,
            "What are the titles and years of the five most recent books? Newest first; books of the same year by title.",
            [
                "SELECT title, year FROM books ORDER BY year DESC, title LIMIT 5",
                "SELECT title, year FROM (SELECT title, year, row_number() OVER (ORDER BY year DESC, title) AS place FROM \
                 books) WHERE place <= 5 ORDER BY place",
                "SELECT title, year FROM books ORDER BY year, title LIMIT 5",
            ],
            "the oldest ones",
        ),
        task(
            DB,
            "For each genre, how many days were books kept on average? Leave out loans that are not over.",
            [
                "SELECT b.genre, avg(l.days_kept) FROM loans l JOIN books b ON b.book_id = l.book_id WHERE l.days_kept IS \
                 NOT NULL GROUP BY b.genre",
                "SELECT genre, sum(days_kept) * 1.0 / count(days_kept) FROM loans NATURAL JOIN books GROUP BY genre",
                "SELECT genre, sum(days_kept) / count(days_kept) FROM loans NATURAL JOIN books GROUP BY genre",
            ],
            "whole-number division",
        ),
        task(
            DB,
            "Which towns have more than three members? Give the town and the number of members.",
            [
                "SELECT town, count(*) FROM members GROUP BY town HAVING count(*) > 3",
                "SELECT count(*) AS members, town FROM members GROUP BY town HAVING members >= 4",
                "SELECT town, count(*) FROM members GROUP BY town HAVING count(*) > 6",
            ],
            "more than six",
        ),
        task(
            DB,
            "Which titles were borrowed by at least two different members from Carrow?",
            [
                "SELECT b.title FROM books b JOIN loans l ON l.book_id = b.book_id JOIN members m ON m.member_id = \
                 l.member_id WHERE m.town = 'Carrow' GROUP BY b.book_id HAVING count(DISTINCT m.member_id) >= 2",
                "SELECT DISTINCT b.title FROM books b JOIN loans x ON x.book_id = b.book_id JOIN loans y ON y.book_id = \
                 b.book_id AND y.member_id <> x.member_id WHERE x.member_id IN (SELECT member_id FROM members WHERE town = \
                 'Carrow') AND y.member_id IN (SELECT member_id FROM members WHERE town = 'Carrow')",
                "SELECT b.title FROM books b JOIN loans l ON l.book_id = b.book_id GROUP BY b.book_id HAVING \
                 count(DISTINCT l.member_id) >= 2",
            ],
            "members from anywhere",
        ),
    ]
}

fn clinic() -> Vec<Task> {
    const DB: &str = "clinic";
    vec![
        task(
            DB,
            "How many patients have no insurer?",
            [
                "SELECT count(*) FROM patients WHERE insurer IS NULL",
                "SELECT count(*) - count(insurer) FROM patients",
                "SELECT count(*) FROM patients WHERE insurer = NULL",
            ],
            "a comparison with NULL",
        ),
        task(
            DB,
            "For each field, give the number of doctors and their average salary.",
            [
                "SELECT field, count(*), avg(salary) FROM doctors GROUP BY field",
                "SELECT avg(salary) AS pay, field, count(doctor_id) FROM doctors GROUP BY field",
                "SELECT field, count(*), max(salary) FROM doctors GROUP BY field",
            ],
            "the highest salary",
        ),
        task(
            DB,
            "Name the doctors whom nobody has visited.",
            [
                "SELECT name FROM doctors WHERE doctor_id NOT IN (SELECT doctor_id FROM visits)",
                "SELECT name FROM doctors d WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.doctor_id = d.doctor_id)",
                "SELECT name FROM doctors WHERE doctor_id IN (SELECT doctor_id FROM visits)",
            ],
            "those with visits",
        ),
        task(
            DB,
            "Which three patients paid the highest fees altogether? Give name and sum, highest sum first.",
            [
                "SELECT p.name, sum(v.fee) AS total FROM patients p JOIN visits v ON v.patient_id = p.patient_id GROUP BY \
                 p.patient_id ORDER BY total DESC, p.name LIMIT 3",
                "SELECT name, total FROM patients NATURAL JOIN (SELECT patient_id, round(sum(fee), 4) AS total FROM visits \
                 GROUP BY patient_id) ORDER BY total DESC LIMIT 3",
                "SELECT p.name, max(v.fee) AS total FROM patients p JOIN visits v ON v.patient_id = p.patient_id GROUP BY \
                 p.patient_id ORDER BY total DESC LIMIT 3",
            ],
            "the highest single fee",
        ),
        task(
            DB,
            "How many visits were there in each month of 2025? Give the month as YYYY-MM, in order, months without visits \
             left out.",
            [
                "SELECT substr(day, 1, 7) AS month, count(*) FROM visits WHERE day LIKE '2025-%' GROUP BY month ORDER BY \
                 month",
                "SELECT strftime('%Y-%m', day), count(*) FROM visits WHERE day >= '2025-01-01' AND day < '2026-01-01' \
                 GROUP BY 1 ORDER BY 1",
                "SELECT substr(day, 1, 7) AS month, count(*) FROM visits WHERE day LIKE '2025-%' GROUP BY month ORDER BY \
                 month DESC",
            ],
            "the last month first",
        ),
        task(
            DB,
            "What is the most frequent complaint of patients born before 1970? If several are, give the first one in the \
             alphabet.",
            [
                "SELECT v.complaint FROM visits v JOIN patients p ON p.patient_id = v.patient_id WHERE p.born < 1970 GROUP \
                 BY v.complaint ORDER BY count(*) DESC, v.complaint LIMIT 1",
                "WITH counted AS (SELECT complaint, count(*) AS visits FROM visits WHERE patient_id IN (SELECT patient_id \
                 FROM patients WHERE born < 1970) GROUP BY complaint) SELECT min(complaint) FROM counted WHERE visits = \
                 (SELECT max(visits) FROM counted)",
                "SELECT complaint FROM visits GROUP BY complaint ORDER BY count(*), complaint DESC LIMIT 1",
            ],
            "the rarest one",
        ),
        task(
            DB,
            "List pairs of doctor and patient (their names) with three visits or more.",
            [
                "SELECT d.name, p.name FROM visits v JOIN doctors d ON d.doctor_id = v.doctor_id JOIN patients p ON \
                 p.patient_id = v.patient_id GROUP BY d.doctor_id, p.patient_id HAVING count(*) >= 3",
                "SELECT (SELECT name FROM doctors d WHERE d.doctor_id = c.doctor_id), (SELECT name FROM patients p WHERE \
                 p.patient_id = c.patient_id) FROM (SELECT doctor_id, patient_id, count(*) AS visits FROM visits GROUP BY \
                 1, 2) c WHERE visits > 2",
                "SELECT d.name, p.name FROM visits v JOIN doctors d ON d.doctor_id = v.doctor_id JOIN patients p ON \
                 p.patient_id = v.patient_id GROUP BY d.doctor_id, p.patient_id HAVING count(*) >= 2",
            ],
            "two visits are enough",
        ),
    ]
}

fn shop() -> Vec<Task> {
    const DB: &str = "shop";
    vec![
        task(
            DB,
            "What is the total value (price times quantity) of all delivered orders?",
            [
                "SELECT sum(i.quantity * p.price) FROM orders o JOIN order_items i ON i.order_id = o.order_id JOIN \
                 products p ON p.product_id = i.product_id WHERE o.status = 'delivered'",
                "SELECT sum(value) FROM (SELECT quantity * price AS value FROM order_items NATURAL JOIN products NATURAL \
                 JOIN orders WHERE status = 'delivered' ORDER BY value)",
                "SELECT sum(p.price) FROM orders o JOIN order_items i ON i.order_id = o.order_id JOIN products p ON \
                 p.product_id = i.product_id WHERE o.status = 'delivered'",
            ],
            "quantities are forgotten",
        ),
        task(
            DB,
            "Which products were never ordered? Give name and stock.",
            [
                "SELECT name, stock FROM products WHERE product_id NOT IN (SELECT product_id FROM order_items)",
                "SELECT stock, name FROM products p LEFT JOIN order_items i ON i.product_id = p.product_id WHERE \
                 i.order_id IS NULL",
                "SELECT name, price FROM products WHERE product_id NOT IN (SELECT product_id FROM order_items)",
            ],
            "the price in place of the stock",
        ),
        task(
            DB,
            "For each town, how many orders did business customers place there? Towns without such orders count 0.",
            [
                "SELECT c.town, count(o.order_id) FROM (SELECT DISTINCT town FROM customers) t JOIN customers c ON c.town = \
                 t.town LEFT JOIN orders o ON o.customer_id = c.customer_id AND c.is_business = 1 GROUP BY c.town",
                "SELECT town, sum((SELECT count(*) FROM orders o WHERE o.customer_id = c.customer_id) * is_business) FROM \
                 customers c GROUP BY town",
                "SELECT c.town, count(o.order_id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id \
                 GROUP BY c.town",
            ],
            "orders of all customers",
        ),
        task(
            DB,
            "List the names of all products that cost more than the average product, the dearest first.",
            [
                "SELECT name FROM products WHERE price > (SELECT avg(price) FROM products) ORDER BY price DESC, name",
                "SELECT name FROM (SELECT name, price, avg(price) OVER () AS mean FROM products) WHERE price > mean ORDER \
                 BY price DESC",
                "SELECT name FROM products WHERE price > (SELECT avg(price) FROM products) ORDER BY price",
            ],
            "the cheapest first",
        ),
        task(
            DB,
            "Which customer has the most cancelled orders? Give all names if there are several.",
            [
                "WITH counted AS (SELECT customer_id, count(*) AS orders FROM orders WHERE status = 'cancelled' GROUP BY \
                 customer_id) SELECT c.name FROM customers c JOIN counted USING (customer_id) WHERE orders = (SELECT \
                 max(orders) FROM counted)",
                "SELECT name FROM (SELECT c.name, rank() OVER (ORDER BY count(*) DESC) AS place FROM customers c JOIN \
                 orders o ON o.customer_id = c.customer_id WHERE o.status = 'cancelled' GROUP BY c.customer_id) WHERE \
                 place = 1",
                "SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.customer_id GROUP BY c.customer_id \
                 ORDER BY count(*) DESC LIMIT 1",
            ],
            "orders of any status",
        ),
        task(
            DB,
            "For each category, which share of its ordered pieces (the quantities) comes from open orders? Give a number \
             between 0 and 1.",
            [
                "SELECT p.category, sum(CASE WHEN o.status = 'open' THEN i.quantity ELSE 0 END) * 1.0 / sum(i.quantity) \
                 FROM order_items i JOIN orders o ON o.order_id = i.order_id JOIN products p ON p.product_id = \
                 i.product_id GROUP BY p.category",
                "SELECT category, total(quantity) FILTER (WHERE status = 'open') / sum(quantity) FROM order_items NATURAL \
                 JOIN orders NATURAL JOIN products GROUP BY category",
                "SELECT category, 100.0 * sum(quantity) FILTER (WHERE status = 'open') / sum(quantity) FROM order_items \
                 NATURAL JOIN orders NATURAL JOIN products GROUP BY category",
            ],
            "a percentage",
        ),
        task(
            DB,
            "Which customers have bought from every category (orders of any status)? Give their names.",
            [
                "SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.customer_id JOIN order_items i ON \
                 i.order_id = o.order_id JOIN products p ON p.product_id = i.product_id GROUP BY c.customer_id HAVING \
                 count(DISTINCT p.category) = (SELECT count(DISTINCT category) FROM products)",
                "SELECT name FROM customers c WHERE NOT EXISTS (SELECT category FROM products EXCEPT SELECT p.category \
                 FROM orders o NATURAL JOIN order_items JOIN products p USING (product_id) WHERE o.customer_id = \
                 c.customer_id)",
                "SELECT DISTINCT c.name FROM customers c JOIN orders o ON o.customer_id = c.customer_id",
            ],
            "everybody with an order",
        ),
    ]
}
