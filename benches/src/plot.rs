//! `plot FILE..`: what benches printed, drawn to `benches/plots`: `point SERIES X Y UNIT` as lines over a logarithmic
//! scale, `ratio best/SHAPE[-key]/ENGINE` as dots beside their limit. One picture for each question.

use std::collections::BTreeMap;
use std::path::Path;

use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

type Points = BTreeMap<String, Vec<(f64, f64)>>;
/// A shape, and its ratio for a list and by key.
type Ratio = (String, [Option<f64>; 2]);
type Ratios = BTreeMap<&'static str, Vec<Ratio>>;

/// A question, and the series that answer it: what they are called in the output and in the picture. A series that is
/// what ours is measured against is dashed, in the colour of the one before it.
struct Question {
    file: &'static str,
    title: &'static str,
    x: &'static str,
    y: &'static str,
    series: &'static [(&'static str, &'static str, Line)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Ours,
    Against,
}

use Line::{Against, Ours};

const QUESTIONS: &[Question] = &[
    Question {
        file: "load",
        title: "How long does loading policies take?",
        x: "policies",
        y: "ms, parsed and lowered",
        series: &[
            ("one-table/load", "all on one table", Ours),
            ("many-tables/load", "one on each table", Ours),
        ],
    },
    Question {
        file: "decision",
        title: "How long does one decision in process take?",
        x: "policies",
        y: "ns",
        series: &[
            ("one-table/decide-first", "one table: the first allows", Ours),
            ("one-table/decide-last", "one table: the last allows", Ours),
            ("one-table/decide-none", "one table: none allows", Ours),
            ("many-tables/decide-none", "one on each: none allows", Ours),
        ],
    },
    Question {
        file: "first-use",
        title: "How long does a connection's first statement take?",
        x: "policies",
        y: "ms (SQLite)",
        series: &[
            ("one-table/first-statement", "one table: the first", Ours),
            ("one-table/second-statement", "one table: the second", Against),
            ("many-tables/first-statement", "one on each: the first", Ours),
            ("many-tables/second-statement", "one on each: the second", Against),
        ],
    },
    Question {
        file: "memory",
        title: "How much resident memory do policies hold?",
        x: "policies",
        y: "KiB",
        series: &[
            ("one-table/memory", "one table: the policies", Ours),
            ("one-table/guard-memory", "one table: with a guard", Against),
            ("many-tables/memory", "one on each: the policies", Ours),
            ("many-tables/guard-memory", "one on each: with a guard", Against),
        ],
    },
    Question {
        file: "lists",
        title: "How long does a list of 20 take as the table grows?",
        x: "rows",
        y: "us (SQLite)",
        series: &[
            ("lists/owner-guarded", "owner: guarded", Ours),
            ("lists/owner-by-hand", "owner: best by hand", Against),
            ("lists/member-guarded", "owner or member: guarded", Ours),
            ("lists/member-by-hand", "owner or member: by hand", Against),
            ("lists/member-as-written", "owner or member: as written", Ours),
        ],
    },
    Question {
        file: "pocketbase-list",
        title: "How many lists of 20 a second, over HTTP?",
        x: "rows",
        y: "requests a second",
        series: &[
            ("pocketbase/author-list/aurora", "author: Aurora", Ours),
            ("pocketbase/author-list/pocketbase", "author: PocketBase", Against),
            ("pocketbase/relation-list/aurora", "relation: Aurora", Ours),
            ("pocketbase/relation-list/pocketbase", "relation: PocketBase", Against),
            ("pocketbase/multi-relation-list/aurora", "multi-relation: Aurora", Ours),
            ("pocketbase/multi-relation-list/pocketbase", "multi-relation: PocketBase", Against),
        ],
    },
    Question {
        file: "pocketbase-count",
        title: "How many counts a second, over HTTP?",
        x: "rows",
        y: "requests a second",
        series: &[
            ("pocketbase/author-count/aurora", "author: Aurora", Ours),
            ("pocketbase/author-count/pocketbase", "author: PocketBase", Against),
            ("pocketbase/relation-count/aurora", "relation: Aurora", Ours),
            ("pocketbase/relation-count/pocketbase", "relation: PocketBase", Against),
            ("pocketbase/multi-relation-count/aurora", "multi-relation: Aurora", Ours),
            ("pocketbase/multi-relation-count/pocketbase", "multi-relation: PocketBase", Against),
        ],
    },
];

const COLOURS: [RGBColor; 4] = [
    RGBColor(0x1f, 0x83, 0xc4),
    RGBColor(0xd5, 0x6a, 0x1c),
    RGBColor(0x1a, 0x9e, 0x77),
    RGBColor(0xb0, 0x6a, 0xb3),
];
/// These two are exchanged for a reader who prefers the dark.
const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const GRID: RGBColor = RGBColor(0xd8, 0xde, 0xe4);
const STYLE: &str = "<style>@media (prefers-color-scheme: dark) {
text { fill: #c9d1d9 } [stroke=\"#24292F\"] { stroke: #8b949e } [stroke=\"#D8DEE4\"] { stroke: #30363d }
}</style>\n";
const FONT: &str = "sans-serif";
const LIMIT: f64 = 1.10;

pub(crate) fn run() {
    let mut points = Points::new();
    let mut ratios = Ratios::new();
    for file in std::env::args().skip(2) {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["point", series, x, y, ..] => {
                    points
                        .entry((*series).to_owned())
                        .or_default()
                        .push((x.parse().unwrap(), y.parse().unwrap()));
                }
                ["ratio", name, rest @ ..] => best(&mut ratios, name, rest),
                _ => {}
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plots");
    std::fs::create_dir_all(&folder).unwrap();
    for question in QUESTIONS {
        let known = question.series.iter().filter(|(name, ..)| points.contains_key(*name)).count();
        if known > 0 {
            save(&folder, question.file, &lines(question, &points));
        }
    }
    for (engine, shapes) in ratios {
        save(&folder, &format!("best-{engine}"), &dots(engine, &shapes));
    }
}

/// `ratio best/SHAPE/ENGINE 1.05 (..)`, or `void (.., median 1.05)`.
fn best(ratios: &mut Ratios, name: &str, rest: &[&str]) {
    let Some(name) = name.strip_prefix("best/") else { return };
    let Some((shape, engine)) = name.split_once('/') else { return };
    let engine = match engine {
        "sqlite" => "sqlite",
        "postgres" => "postgres",
        _ => return,
    };
    let ratio = rest.iter().find_map(|word| word.trim_end_matches(')').parse::<f64>().ok());
    if shape.contains(".analyzed") {
        return;
    }
    let (shape, place) = shape.strip_suffix("-key").map_or((shape, 0), |shape| (shape, 1));
    let shapes = ratios.entry(engine).or_default();
    let at = shapes.iter().position(|(known, _)| known == shape).unwrap_or_else(|| {
        shapes.push((shape.to_owned(), [None; 2]));
        shapes.len() - 1
    });
    shapes[at].1[place] = ratio;
}

fn save(folder: &Path, name: &str, svg: &str) {
    let head = svg.find('>').unwrap() + 1;
    let path = folder.join(format!("{name}.svg"));
    std::fs::write(&path, format!("{}\n{STYLE}{}\n", &svg[..head], svg[head..].trim_start())).unwrap();
    println!("{}", path.display());
}

fn text(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

/// The ends of a logarithmic axis: what is there, a little wider.
fn ends(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(0.0, f64::max);
    (low / 1.6, high * 1.6)
}

fn number(value: &f64) -> String {
    let (value, unit) = match *value {
        large if large >= 1e6 => (large / 1e6, "M"),
        large if large >= 1e3 => (large / 1e3, "k"),
        small => (small, ""),
    };
    let digits = if value >= 1.0 { 0 } else { (-value.log10()).ceil() as usize };
    format!("{value:.digits$}{unit}")
}

fn lines(question: &Question, points: &Points) -> String {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (800, 420)).into_drawing_area();
        let (chart_area, legend) = area.split_horizontally(560);
        let found: Vec<_> = question
            .series
            .iter()
            .filter_map(|(name, label, line)| points.get(*name).map(|points| (*label, *line, points)))
            .collect();
        let all = found.iter().flat_map(|(_, _, points)| points.iter());
        let (left, right) = ends(all.clone().map(|point| point.0));
        let (low, high) = ends(all.map(|point| point.1));
        let mut chart = ChartBuilder::on(&chart_area)
            .margin(12)
            .caption(question.title, text(20))
            .x_label_area_size(44)
            .y_label_area_size(66)
            .build_cartesian_2d((left..right).log_scale(), (low..high).log_scale())
            .unwrap();
        chart
            .configure_mesh()
            .x_desc(question.x)
            .y_desc(question.y)
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .label_style(text(16))
            .axis_desc_style(text(16))
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()
            .unwrap();
        let mut colour = 0;
        for (at, (label, line, points)) in found.iter().enumerate() {
            colour += usize::from(at > 0 && *line == Ours);
            let style = COLOURS[colour % COLOURS.len()].stroke_width(2);
            let height = 70 + 26 * at as i32;
            let sample = [(4, height), (34, height)];
            if *line == Ours {
                chart.draw_series(LineSeries::new(points.iter().copied(), style)).unwrap();
                legend.draw(&PathElement::new(sample, style)).unwrap();
            } else {
                chart.draw_series(DashedLineSeries::new(points.iter().copied(), 6, 5, style)).unwrap();
                for from in [4, 15, 26] {
                    legend.draw(&PathElement::new([(from, height), (from + 7, height)], style)).unwrap();
                }
            }
            let dots = points.iter().map(|point| Circle::new(*point, 3, style.filled()));
            chart.draw_series(dots).unwrap();
            let place = text(16).pos(Pos::new(HPos::Left, VPos::Center));
            legend.draw(&Text::new(*label, (42, height), place)).unwrap();
        }
        area.present().unwrap();
    }
    svg
}

fn dots(engine: &str, shapes: &[Ratio]) -> String {
    let mut svg = String::new();
    {
        let count = shapes.len() as i32;
        let area = SVGBackend::with_string(&mut svg, (800, 100 + 22 * count as u32)).into_drawing_area();
        let values = shapes.iter().flat_map(|(_, both)| both.iter().flatten().copied());
        let (left, right) = (values.clone().fold(0.8, f64::min) / 1.1, values.fold(1.5, f64::max) * 1.1);
        let title = format!("Ours divided by the best condition written by hand ({engine})");
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .margin_right(30)
            .caption(title, text(20))
            .x_label_area_size(44)
            .y_label_area_size(150)
            .build_cartesian_2d((left..right).log_scale(), (0..count - 1).into_segmented())
            .unwrap();
        let name = |place: &SegmentValue<i32>| match place {
            SegmentValue::CenterOf(at) => shapes[shapes.len() - 1 - *at as usize].0.clone(),
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .x_desc("times as long; open: by key, filled: a list of 20; the line: the limit, 1.10")
            .y_labels(shapes.len() + 1)
            .y_label_formatter(&name)
            .x_labels(8)
            .x_label_formatter(&|value: &f64| {
                if *value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
            })
            .label_style(text(16))
            .axis_desc_style(text(16))
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()
            .unwrap();
        let limit = [(LIMIT, SegmentValue::Exact(0)), (LIMIT, SegmentValue::Last)];
        chart.draw_series([PathElement::new(limit, COLOURS[2].stroke_width(2))]).unwrap();
        for (at, (_, both)) in shapes.iter().rev().enumerate() {
            for (place, ratio) in both.iter().enumerate() {
                let Some(ratio) = ratio else { continue };
                let colour = if *ratio <= LIMIT { COLOURS[0] } else { COLOURS[1] };
                let style = if place == 0 { colour.filled() } else { colour.stroke_width(2) };
                let middle = SegmentValue::CenterOf(at as i32);
                chart.draw_series([Circle::new((*ratio, middle), 5, style)]).unwrap();
            }
        }
        area.present().unwrap();
    }
    svg
}
