// SPDX-License-Identifier: Apache-2.0
//! The walk of OpenEnv's `MazeEnvironment`, by its documented rules: an 8x8 maze with the start in the upper left and the
//! exit in the lower right corner, the actions 0 (up), 1 (down), 2 (left) and 3 (right), and a reward for each step.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::tools::typed;

/// Rows and columns.
const SIZE: usize = 8;

/// The walls, a row each, the leftmost column in the highest bit.
const WALLS: [u8; SIZE] = [0x04, 0xd5, 0x11, 0x7c, 0x02, 0xb8, 0x0a, 0x60];

/// Below this sum of rewards the walk is lost: half a point for each cell.
const LOWEST: f64 = -0.5 * (SIZE * SIZE) as f64;

/// Column and row.
type Cell = (usize, usize);

const EXIT: Cell = (SIZE - 1, SIZE - 1);

/// One walk.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    cell: Cell,
    before: Cell,
    seen: BTreeSet<Cell>,
    total: f64,
    steps: u32,
}

impl Walk {
    /// The observation at the start, worth nothing.
    pub(crate) fn begin(&mut self) -> Value {
        *self = Self::default();
        self.seen.insert(self.cell);
        self.view("playing")
    }

    /// Goes where the action says, if there is a way: observation, reward, and whether it is over. What is no way costs a
    /// step too.
    pub(crate) fn step(&mut self, action: &Map<String, Value>) -> Result<(Value, f64, bool), String> {
        let given = action.get("action").ok_or("action: Field required")?;
        let number = typed("integer", given).map_err(|(_, wanted)| format!("action: Input should be {wanted}"))?;
        if let Some(other) = action.keys().find(|key| !["action", "metadata"].contains(&key.as_str())) {
            return Err(format!("{other}: Extra inputs are not permitted"));
        }
        self.steps += 1;
        let target = number.as_u64().and_then(|number| self.beside(number));
        let reward = match target {
            None => -0.75,
            Some(target) => {
                (self.before, self.cell) = (self.cell, target);
                let is_new = self.seen.insert(target);
                match (target == EXIT, is_new) {
                    (true, _) => 10.0,
                    (false, true) => -0.05,
                    (false, false) => -0.25,
                }
            }
        };
        self.total += reward;
        let status = match (self.cell == EXIT, self.total < LOWEST) {
            (true, _) => "win",
            (false, true) => "lose",
            (false, false) => "playing",
        };
        Ok((self.view(status), reward, status != "playing"))
    }

    /// The free cell in this direction.
    fn beside(&self, action: u64) -> Option<Cell> {
        let (column, row) = self.cell;
        let (column, row) = match action {
            0 => (column, row.checked_sub(1)?),
            1 => (column, row + 1),
            2 => (column.checked_sub(1)?, row),
            3 => (column + 1, row),
            _ => return None,
        };
        (column < SIZE && row < SIZE && !is_wall(column, row)).then_some((column, row))
    }

    fn view(&self, status: &str) -> Value {
        let legal: Vec<u64> = match status {
            "playing" => (0..4).filter(|action| self.beside(*action).is_some()).collect(),
            _ => Vec::new(),
        };
        let rows: Vec<Vec<u8>> =
            (0..SIZE).map(|row| (0..SIZE).map(|column| u8::from(is_wall(column, row))).collect()).collect();
        json!({
            "metadata": {"maze": rows, "status": status, "exit_cell": EXIT, "step": self.steps},
            "legal_actions": legal, "current_position": self.cell, "previous_position": self.before,
        })
    }
}

fn is_wall(column: usize, row: usize) -> bool {
    WALLS[row] >> (SIZE - 1 - column) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reward and end of each of these actions.
    fn walk(actions: &[u64]) -> Vec<(f64, bool)> {
        let mut walk = Walk::default();
        walk.begin();
        let mut step = |action: &u64| {
            let (_, reward, is_over) = walk.step(json!({"action": action}).as_object().unwrap()).unwrap();
            (reward, is_over)
        };
        actions.iter().map(&mut step).collect()
    }

    #[test]
    fn the_shortest_way_costs_a_little_for_each_move_and_ends_at_the_exit() {
        // Right, right, down, down, left, left, down, down, then right along the fifth row, down and right to the corner.
        let way = [3, 3, 1, 1, 2, 2, 1, 1, 3, 3, 3, 3, 3, 1, 1, 1, 3, 3];
        let outcome = walk(&way);
        assert_eq!(outcome.last(), Some(&(10.0, true)));
        assert!(outcome[..way.len() - 1].iter().all(|step| *step == (-0.05, false)), "{outcome:?}");
    }

    #[test]
    fn walls_borders_and_cells_seen_before_cost_more() {
        assert_eq!(walk(&[0, 2, 1, 9, 3, 2]), [-0.75, -0.75, -0.75, -0.75, -0.05, -0.25].map(|cost| (cost, false)));
    }

    #[test]
    fn a_walk_is_lost_below_half_a_point_for_each_cell() {
        // 42 * -0.75 is -31.5 and the 43rd makes it -32.25.
        let outcome = walk(&[0; 43]);
        assert_eq!((outcome[41], outcome[42]), ((-0.75, false), (-0.75, true)));
    }

    #[test]
    fn the_view_has_the_fields_of_the_documentation() {
        let mut walk = Walk::default();
        let first = walk.begin();
        assert_eq!(first["legal_actions"], json!([3]));
        assert_eq!(first["metadata"]["maze"][0], json!([0, 0, 0, 0, 0, 1, 0, 0]));
        let (second, ..) = walk.step(json!({"action": "3"}).as_object().unwrap()).unwrap();
        assert_eq!((&second["current_position"], &second["previous_position"]), (&json!([1, 0]), &json!([0, 0])));
        assert_eq!((&second["metadata"]["step"], &second["legal_actions"]), (&json!(1), &json!([2, 3])));
    }

    #[test]
    fn an_action_that_is_none_is_refused_and_costs_nothing() {
        let mut walk = Walk::default();
        walk.begin();
        for action in [json!({}), json!({"action": "up"}), json!({"action": 1.5}), json!({"action": 3, "more": 1})] {
            assert!(walk.step(action.as_object().unwrap()).is_err(), "{action}");
        }
        assert_eq!((walk.steps, walk.total), (0, 0.0));
    }
}
