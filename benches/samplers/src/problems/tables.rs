//! Problems that look up what real training runs gave. `data/README.md` says where the tables come from.

use crate::problem::{ParamSpec, Point, Problem, choice, float, int, log_float, log_int};
use crate::table::{AxisKind, Table};

pub(super) fn all() -> Vec<Problem> {
    vec![
        cash_digits(),
        grid_problem("hpobench_credit_g", include_str!("../../data/hpobench_credit_g.csv")),
        grid_problem("hpobench_vehicle", include_str!("../../data/hpobench_vehicle.csv")),
        svm_digits(),
    ]
}

const CLASS: &str = "table";

/// Returns a support vector machine with two parameters.
fn svm_digits() -> Problem {
    let table = Table::parse(include_str!("../../data/svc_rbf.csv"));
    let params = vec![log_float("C", 1e-3, 1e3), log_float("gamma", 1e-6, 1.0)];
    Problem::single(("svm_digits2", CLASS), params, table.minimum(), move |point| {
        table.value(|axis| point.0.get(axis))
    })
}

/// Returns the choice among five models with their parameters: combined algorithm selection and hyperparameter
/// optimisation (Thornton et al. 2013, "Auto-WEKA").
fn cash_digits() -> Problem {
    let models = models();
    let names: Vec<&str> = models.iter().map(|model| model.name).collect();
    let conditional = models.iter().flat_map(|model| {
        model.params.iter().map(|param| param.clone().when("model", &[model.name]))
    });
    let params = [choice("model", &names)].into_iter().chain(conditional).collect();
    let optimum = models.iter().map(|model| model.table.minimum()).fold(f64::INFINITY, f64::min);
    Problem::single(("cash_digits", "mixed, conditional"), params, optimum, move |point| {
        let name = point.text("model");
        let chosen = models.iter().find(|model| model.name == name);
        chosen.map_or(f64::NAN, |model| model.value(point))
    })
}

struct Model {
    name: &'static str,
    /// The prefix of the parameters' names before the axes' names.
    prefix: &'static str,
    table: Table,
    params: Vec<ParamSpec>,
}

impl Model {
    fn new(name: &'static str, prefix: &'static str, table: &str, params: Vec<ParamSpec>) -> Self {
        Model { name, prefix, table: Table::parse(table), params }
    }

    fn value(&self, point: &Point) -> f64 {
        self.table.value(|axis| point.0.get(&format!("{}{axis}", self.prefix)))
    }
}

fn models() -> [Model; 5] {
    [
        Model::new(
            "svc_rbf",
            "rbf_",
            include_str!("../../data/cash_svc_rbf.csv"),
            vec![log_float("rbf_C", 1e-3, 1e3), log_float("rbf_gamma", 1e-6, 1.0)],
        ),
        Model::new(
            "svc_poly",
            "poly_",
            include_str!("../../data/cash_svc_poly.csv"),
            vec![
                log_float("poly_C", 1e-3, 1e3),
                int("poly_degree", 2, 5),
                float("poly_coef0", 0.0, 2.0),
            ],
        ),
        Model::new(
            "knn",
            "knn_",
            include_str!("../../data/cash_knn.csv"),
            vec![
                int("knn_k", 1, 30),
                choice("knn_weights", &["uniform", "distance"]),
                int("knn_p", 1, 2),
            ],
        ),
        Model::new(
            "rf",
            "rf_",
            include_str!("../../data/cash_rf.csv"),
            vec![int("rf_depth", 2, 20), log_int("rf_leaf", 1, 32), float("rf_mf", 0.05, 1.0)],
        ),
        Model::new(
            "mlp",
            "mlp_",
            include_str!("../../data/cash_mlp.csv"),
            vec![
                log_float("mlp_lr", 1e-4, 1e-1),
                log_int("mlp_units", 8, 128),
                log_float("mlp_alpha", 1e-6, 1e1),
            ],
        ),
    ]
}

/// Returns a table whose axes are all the parameters there are: integers index it.
fn grid_problem(name: &'static str, text: &str) -> Problem {
    let table = Table::parse(text);
    let spec = |(axis, kind, len): (&str, &AxisKind, usize)| match kind {
        AxisKind::Choice(labels) => {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            choice(axis, &labels)
        }
        _ => int(axis, 0, len as i64 - 1),
    };
    let params = table.axes().map(spec).collect();
    Problem::single((name, CLASS), params, table.minimum(), move |point| {
        table.value(|axis| point.0.get(axis))
    })
}
