//! Metrics as text: the exposition format of Prometheus, version 0.0.4.

use std::{
    fmt::{self, Formatter, Write},
    time::Duration,
};

use super::{Latency, MetricFamily, MetricSample, MetricValue, Metrics};

/// Seconds, without zeros at the end: a bound is a label, and must read the same on every node and wherever it is written.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let nanos = format!("{:09}", self.0.subsec_nanos());
        match nanos.trim_end_matches('0') {
            "" => write!(f, "{}", self.0.as_secs()),
            part => write!(f, "{}.{part}", self.0.as_secs()),
        }
    }
}

/// A value of a label, which may be anything: tiers are named by whoever writes them.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Writes the labels of a sample; `bound` is one more, of a bucket.
fn labels(f: &mut Formatter<'_>, family: &MetricFamily, sample: &MetricSample, bound: Option<&str>) -> fmt::Result {
    let own = family.labels.iter().copied().zip(sample.labels.iter().map(String::as_str));
    let mut before = '{';
    for (name, value) in own.chain(bound.map(|bound| ("le", bound))) {
        write!(f, "{before}{name}=\"{}\"", Escaped(value))?;
        before = ',';
    }
    if before == ',' { f.write_char('}') } else { Ok(()) }
}

fn latency(f: &mut Formatter<'_>, family: &MetricFamily, sample: &MetricSample, latency: &Latency) -> fmt::Result {
    let name = family.name;
    let finite = latency.buckets.iter().map(|(bound, count)| (Seconds(*bound).to_string(), *count));
    for (bound, count) in finite.chain([("+Inf".to_owned(), latency.count)]) {
        write!(f, "{name}_bucket")?;
        labels(f, family, sample, Some(&bound))?;
        writeln!(f, " {count}")?;
    }
    write!(f, "{name}_sum")?;
    labels(f, family, sample, None)?;
    writeln!(f, " {}", Seconds(latency.sum))?;
    write!(f, "{name}_count")?;
    labels(f, family, sample, None)?;
    writeln!(f, " {}", latency.count)
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for family in self.families() {
            let MetricFamily { name, help, kind, samples, .. } = family;
            writeln!(f, "# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n"))?;
            writeln!(f, "# TYPE {name} {}", kind.as_str())?;
            for sample in samples {
                match &sample.value {
                    MetricValue::Latency(times) => latency(f, family, sample, times)?,
                    value => {
                        f.write_str(name)?;
                        labels(f, family, sample, None)?;
                        match value {
                            MetricValue::Time(time) => writeln!(f, " {}", Seconds(*time))?,
                            other => writeln!(f, " {}", other.whole().unwrap_or_default())?,
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{histogram::Histogram, metrics::MetricKind};

    fn text(labels: &'static [&'static str], values: &[&str], value: MetricValue) -> String {
        let labelled = values.iter().map(|value| (*value).to_owned()).collect();
        let samples = vec![MetricSample { labels: labelled, value }];
        let family = MetricFamily { name: "a", help: "b\\c\nd", kind: MetricKind::Gauge, labels, samples };
        Metrics { families: vec![family] }.prometheus()
    }

    #[test]
    fn values_of_labels_are_escaped_and_help_is() {
        let written = text(&["tier", "tenant"], &["a\"b\\c\nd", "\u{e9}"], MetricValue::Whole(7));
        assert_eq!(written, "# HELP a b\\\\c\\nd\n# TYPE a gauge\na{tier=\"a\\\"b\\\\c\\nd\",tenant=\"\u{e9}\"} 7\n");
    }

    #[test]
    fn a_number_without_labels_has_no_braces_and_a_time_is_in_seconds() {
        let of =
            |nanos| text(&[], &[], MetricValue::Time(Duration::from_nanos(nanos))).lines().last().map(str::to_owned);
        assert_eq!(of(1_500_000_000).as_deref(), Some("a 1.5"));
        assert_eq!(of(50_000).as_deref(), Some("a 0.00005"));
        assert_eq!(of(3_000_000_000).as_deref(), Some("a 3"));
    }

    #[test]
    fn a_histogram_has_its_buckets_a_sum_and_a_count() {
        let histogram = Histogram::default();
        histogram.note(Duration::from_micros(70));
        histogram.note(Duration::from_secs(100));
        let written = text(&["tier"], &["disk"], MetricValue::Latency(histogram.read()));
        for line in [
            "a_bucket{tier=\"disk\",le=\"0.00005\"} 0",
            "a_bucket{tier=\"disk\",le=\"0.0001\"} 1",
            "a_bucket{tier=\"disk\",le=\"52.4288\"} 1",
            "a_bucket{tier=\"disk\",le=\"+Inf\"} 2",
            "a_sum{tier=\"disk\"} 100.00007",
            "a_count{tier=\"disk\"} 2",
        ] {
            assert!(written.lines().any(|written| written == line), "{line} is missing in\n{written}");
        }
    }
}
