//! An order of images in which similar ones are neighbors.

/// The leaves of the average-linkage tree of similarities. The branches of each node are ordered so
/// that the most similar ends are neighbors.
pub(crate) fn order_by_clustering(
    size: usize,
    similarity: impl Fn(usize, usize) -> f32,
) -> Vec<usize> {
    let mut clusters: Vec<Vec<usize>> = (0..size).map(|image| vec![image]).collect();
    // Mean similarity of each pair of clusters, updated as they are joined.
    let mut means: Vec<Vec<f64>> =
        (0..size).map(|i| (0..size).map(|j| f64::from(similarity(i, j))).collect()).collect();
    while clusters.len() > 1 {
        let mut best = (0, 1);
        for i in 0..clusters.len() {
            for j in i + 1..clusters.len() {
                if means[i][j] > means[best.0][best.1] {
                    best = (i, j);
                }
            }
        }
        let (i, j) = best;
        let (kept, joined) = (clusters[i].len() as f64, clusters[j].len() as f64);
        for k in 0..clusters.len() {
            let mean = (kept * means[i][k] + joined * means[j][k]) / (kept + joined);
            means[i][k] = mean;
            means[k][i] = mean;
        }
        means.remove(j);
        for row in &mut means {
            row.remove(j);
        }
        let other = clusters.remove(j);
        let one = std::mem::take(&mut clusters[i]);
        clusters[i] = turned(one, other, &similarity);
    }
    clusters.pop().unwrap_or_default()
}

/// Concatenates two clusters, each forward or backward, so that the most similar ends meet.
fn turned(
    mut one: Vec<usize>,
    mut other: Vec<usize>,
    similarity: &impl Fn(usize, usize) -> f32,
) -> Vec<usize> {
    let (first, last) = ([one[0], other[0]], [one[one.len() - 1], other[other.len() - 1]]);
    let meetings = [
        (similarity(last[0], first[1]), false, false),
        (similarity(last[0], last[1]), false, true),
        (similarity(first[0], first[1]), true, false),
        (similarity(first[0], last[1]), true, true),
    ];
    let (_, turn_one, turn_other) =
        meetings.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).expect("four ways");
    if turn_one {
        one.reverse();
    }
    if turn_other {
        other.reverse();
    }
    one.extend(other);
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_groups_are_joined() {
        let order = order_by_clustering(15, |i, j| if i % 3 == j % 3 { 0.8 } else { -0.2 });
        let groups: Vec<usize> = order.iter().map(|i| i % 3).collect();
        assert_eq!(groups.windows(2).filter(|pair| pair[0] != pair[1]).count(), 2, "{groups:?}");
    }

    #[test]
    fn points_on_a_line_stay_in_order() {
        let places = [5.0f32, 1.0, 9.0, 3.0, 7.5, 0.0];
        let order = order_by_clustering(6, |i, j| -(places[i] - places[j]).abs());
        let along: Vec<f32> = order.iter().map(|i| places[*i]).collect();
        assert!(along.is_sorted() || along.iter().rev().is_sorted(), "{along:?}");
        assert!(order_by_clustering(0, |_, _| 0.0).is_empty());
    }
}
