use super::*;
use crate::tables::Merchant;
use proptest::prelude::*;

fn merchant(id: &str, chain: Option<&str>, cuisines: &str) -> Merchant {
    let cuisines = cuisines.split(';').filter(|label| !label.is_empty()).map(str::to_owned).collect();
    Merchant { merchant_id: id.into(), chain_id: chain.map(Into::into), cuisines, ..Merchant::default() }
}

/// Two kitchens that share nobody, each label with the next two of its own.
fn two_kitchens() -> Vec<Merchant> {
    let kitchens = [["sushi", "ramen", "udon", "tempura", "soba"], ["burger", "fries", "hot_dog", "milkshake", "wrap"]];
    let menus = kitchens.iter().flat_map(|kitchen| {
        (0..15).map(move |i| [kitchen[i % 5], kitchen[(i + 1) % 5], kitchen[(i + 2) % 5]].join(";"))
    });
    menus.enumerate().map(|(i, menu)| merchant(&format!("m{i:02}"), None, &menu)).collect()
}

#[test]
fn two_kitchens_are_two_clusters() {
    let map = fit(&two_kitchens(), &FitOptions::default()).unwrap();
    assert_eq!(map.n_clusters, 2);
    let cluster = |label: &str| map.weights(map.id(label).unwrap())[0].0;
    for label in ["ramen", "udon", "tempura", "soba"] {
        assert_eq!(cluster(label), cluster("sushi"), "{label}");
    }
    for label in ["fries", "hot_dog", "milkshake", "wrap"] {
        assert_eq!(cluster(label), cluster("burger"), "{label}");
    }
    assert_ne!(cluster("sushi"), cluster("burger"));
    let alike = &map.similarity[usize::from(map.id("sushi").unwrap())];
    assert_eq!(alike[0], (map.id("sushi").unwrap(), 1.0));
    assert_eq!(alike.len(), 5, "nobody serves sushi and burgers: {alike:?}");
}

#[test]
fn a_chain_of_many_outlets_counts_once() {
    let mut merchants = two_kitchens();
    merchants.push(merchant("x", Some("chain"), "sushi;burger"));
    let one = fit(&merchants, &FitOptions::default()).unwrap();
    merchants.extend((0..50).map(|i| merchant(&format!("x{i}"), Some("chain"), "sushi;burger")));
    let many = fit(&merchants, &FitOptions::default()).unwrap();
    assert_eq!((&one.weights, &one.similarity, &one.merchants), (&many.weights, &many.similarity, &many.merchants));
}

#[test]
fn a_chain_is_one_by_its_item_and_by_its_name() {
    let mut merchants = two_kitchens();
    merchants.push(Merchant { name: "Sushi & Co".into(), ..merchant("x", Some("Q1"), "sushi;burger") });
    let one = fit(&merchants, &FitOptions::default()).unwrap();
    merchants.push(merchant("y", Some("sushi_co"), "sushi;burger"));
    assert_eq!(fit(&merchants, &FitOptions::default()).unwrap().merchants, one.merchants);
    merchants.push(Merchant { name: "Sushi Co".into(), ..merchant("z", Some("Q2"), "") });
    let two = fit(&merchants, &FitOptions::default()).unwrap();
    assert_ne!(two.merchants, one.merchants, "a name of two chains is neither");
}

#[test]
fn a_label_that_is_never_beside_another_goes_to_its_parent_or_nowhere() {
    let mut merchants = two_kitchens();
    merchants.push(merchant("a", None, "Yakitori"));
    merchants.push(merchant("b", None, "japanese;sushi"));
    merchants.push(merchant("c", None, "klingon"));
    merchants.push(merchant("d", Some("many"), "Klingon"));
    merchants.push(merchant("e", Some("many"), "klingons"));
    let map = fit(&merchants, &FitOptions::default()).unwrap();
    let (yakitori, japanese) = (map.id("yakitori").unwrap(), map.id("japanese").unwrap());
    assert_eq!(map.parents.get("yakitori").map(String::as_str), Some("japanese"));
    assert_eq!(map.weights(yakitori), map.weights(japanese));
    let likeness = map.similarity[usize::from(yakitori)].iter().find(|(id, _)| *id == japanese);
    assert_eq!(likeness, Some(&(japanese, 0.8)));
    assert_eq!(map.unplaced, ["klingon"]);
    assert_eq!(map.weights(map.id("klingon").unwrap()), []);
    assert_eq!(map.unknown.get("klingon"), Some(&2.0), "kept, and a chain counts once");
    let directions = (&map.projection[usize::from(yakitori)], &map.projection[usize::from(japanese)]);
    assert!(directions.0.iter().zip(directions.1).all(|(own, parent)| (own - 0.8 * parent).abs() < 1e-6));
    assert!(map.projection[usize::from(map.id("klingon").unwrap())].is_empty());
}

#[test]
fn a_pair_that_knows_nobody_else_is_placed_by_the_table_and_not_by_an_eigenvector() {
    let mut merchants = two_kitchens();
    // Neither leading eigenvector reaches them: their rows are 0, and 0/0 has no direction.
    merchants.push(merchant("a", None, "yakitori;klingon"));
    merchants.push(merchant("b", None, "japanese;sushi"));
    let map = fit(&merchants, &FitOptions::default()).unwrap();
    assert_eq!(map.parents.get("yakitori").map(String::as_str), Some("japanese"));
    assert_eq!(map.unplaced, ["klingon"]);
}

/// Four blocks of 30 nodes by a degree-corrected blockmodel of mean degree 12, a twentieth of a block's edges to each
/// other one; `heft` is what the nodes of a block weigh, the heaviest first.
fn blocks(heft: fn(f64) -> f64, seed: u64) -> faer::Mat<f64> {
    use rand::SeedableRng;
    use rand_distr::{Distribution, Poisson};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let heft = |i: usize| heft(((i % 30) as f64 + 0.5) / 30.0);
    let all: f64 = (0..30).map(heft).sum();
    let mut adjacency = faer::Mat::zeros(120, 120);
    for i in 0..120 {
        for j in 0..i {
            let edges = 12.0 * 30.0 * if i / 30 == j / 30 { 0.85 } else { 0.05 };
            let edges = Poisson::new(edges * heft(i) / all * heft(j) / all).unwrap().sample(&mut random);
            (adjacency[(i, j)], adjacency[(j, i)]) = (edges, edges);
        }
    }
    adjacency
}

/// Mean adjusted Rand index of ten graphs' blocks with the clusters of normalized rows, and of rows as they are.
fn found_blocks(heft: fn(f64) -> f64) -> [f64; 2] {
    let mut found = [0.0, 0.0];
    for seed in 0..10 {
        let linked = graph::Linked::of(&blocks(heft, seed));
        let spectrum = spectral::Spectrum::of(&spectral::laplacian(&linked.adjacency, linked.mean_degree())).unwrap();
        for (sum, rows) in found.iter_mut().zip([spectrum.rows(4), spectrum.raw_rows(4)]) {
            let (truth, points): (Vec<usize>, Vec<&[f64]>) =
                linked.ids.iter().zip(&rows).filter_map(|(id, row)| Some((id / 30, row.as_deref()?))).unzip();
            let partition = k_means::k_means(&points, 4, 50, 1).unwrap();
            *sum += k_means::adjusted_rand_index(&truth, &partition.cluster) / 10.0;
        }
    }
    found
}

/// Qin and Rohe's own simulation draws degrees from power laws of exponents 2 to 3.5; where the tail is heavy, the length of
/// a row is its degree, and k-means on rows as they are splits the heavy nodes and heaps up the light ones.
#[test]
fn normalized_rows_find_blocks_of_very_uneven_degrees_and_raw_rows_do_not() {
    // Exponent 2.25: the heaviest of 30 nodes weighs 26 times the lightest.
    let [normalized, raw] = found_blocks(|share| libm::pow(share, -1.0 / 1.25));
    assert!(normalized > 0.85 && normalized > raw + 0.2, "normalized {normalized:.3}, raw {raw:.3}");
    // Exponent 4: nothing to win, nothing to lose.
    let [normalized, raw] = found_blocks(|share| libm::pow(share, -1.0 / 3.0));
    assert!(normalized > 0.95 && normalized > raw - 0.02, "normalized {normalized:.3}, raw {raw:.3}");
}

#[test]
fn the_drawing_names_every_placed_cuisine_and_no_two_names_overlap() {
    let mut merchants = two_kitchens();
    merchants.push(merchant("a", None, "Yakitori"));
    merchants.push(merchant("b", None, "japanese;sushi"));
    merchants.push(merchant("c", None, "klingon"));
    let map = fit(&merchants, &FitOptions::default()).unwrap();
    let layout = draw::layout(&map, 1);
    assert_eq!(layout, draw::layout(&map, 1), "a seed is a picture");
    assert_eq!((layout.placed.len(), layout.crowded_out.len()), (map.labels.len() - 1, 0));
    for (i, one) in layout.placed.iter().enumerate() {
        for other in &layout.placed[..i] {
            let apart = |d: usize| {
                let (a, b) = (&one.area, &other.area);
                a[d] + a[d + 2] <= b[d] + 1e-6 || b[d] + b[d + 2] <= a[d] + 1e-6
            };
            assert!(apart(0) || apart(1), "{one:?} {other:?}");
        }
    }
    let svg = draw::svg(&map, 1);
    assert_eq!(svg.matches("<circle").count(), map.labels.len() - 1);
    assert_eq!(svg.matches("fill=\"#ffffff\" stroke").count(), 1, "an attached cuisine is a ring");
    assert!(svg.contains(">Hot Dog</text>") && !svg.contains("Klingon"));
}

#[test]
fn a_map_survives_the_file_and_a_contradiction_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cuisine-map.json");
    let options = FitOptions { simulated: Some("simulated for a test".into()), ..FitOptions::default() };
    let map = fit(&two_kitchens(), &options).unwrap();
    map.write(&path).unwrap();
    let read = CuisineMap::read(&path).unwrap();
    assert_eq!(read, map);
    assert_eq!(read.fingerprint(), map.fingerprint());

    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(FORMAT, "freshrank-cuisine-map-1").replace("projection", "gone")).unwrap();
    let error = CuisineMap::read(&path).unwrap_err().to_string();
    let expected = "format: found freshrank-cuisine-map-1, expected freshrank-cuisine-map-2";
    assert!(error.ends_with(expected), "{error}");

    let mut broken = map.clone();
    broken.weights[3] = vec![(0, 200), (9, 55)];
    broken.write(&path).unwrap();
    let error = CuisineMap::read(&path).unwrap_err().to_string();
    let expected = "cuisine-map.json: weights: found [(0, 200), (9, 55)], expected up to 3 of 2 clusters, in all 255";
    assert!(error.ends_with(expected), "{error}");
    assert_ne!(broken.fingerprint(), map.fingerprint());
}

#[test]
fn merchants_without_company_make_a_map_without_clusters() {
    for merchants in [vec![], vec![merchant("a", None, "pizza")], vec![merchant("a", None, "")]] {
        let map = fit(&merchants, &FitOptions::default()).unwrap();
        assert_eq!((map.n_clusters, map.unplaced.len()), (0, map.labels.len()));
        assert_eq!(map.blend(&map.ids(&["pizza".into()])), []);
    }
}

#[test]
fn a_merchant_blends_the_clusters_of_its_labels() {
    let map = fit(&two_kitchens(), &FitOptions::default()).unwrap();
    let blend = map.blend(&map.ids(&["sushi".into(), "Burgers".into(), "nowhere".into()]));
    assert_eq!(blend.iter().map(|(_, share)| u32::from(*share)).sum::<u32>(), 255);
    assert!(blend.iter().all(|(_, share)| (127..=128).contains(share)), "{blend:?}");
    let total: f64 = map.project(&vec![1.0; map.labels.len()]).iter().sum();
    assert!((total - map.labels.len() as f64).abs() < 1e-12, "a projection keeps what is placed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_merchants_in_any_order_make_one_map_without_contradiction(
        menus in prop::collection::vec((prop::collection::vec(0_usize..14, 0..4), prop::option::of(0_u8..5)), 0..40),
        rotate in 0_usize..40,
    ) {
        let words = ["pizza", "pasta", "sushi", "ramen", "kebab", "taco", "burrito", "cake", "tea", "x1", "x2", "x3", "x4", "vegan"];
        let mut merchants: Vec<Merchant> = menus.iter().enumerate().map(|(i, (menu, chain))| {
            let cuisines: Vec<&str> = menu.iter().map(|word| words[*word]).collect();
            merchant(&format!("m{i}"), chain.map(|c| format!("c{c}")).as_deref(), &cuisines.join(";"))
        }).collect();
        let options = FitOptions { n_starts: 8, ..FitOptions::default() };
        let map = fit(&merchants, &options).unwrap();
        prop_assert_eq!(map.contradiction(), None);
        prop_assert!(map.n_clusters <= 2);
        if !merchants.is_empty() {
            let n = merchants.len();
            merchants.rotate_left(rotate % n);
        }
        prop_assert_eq!(fit(&merchants, &options).unwrap(), map);
    }
}

/// The shipped map.
fn shipped() -> CuisineMap {
    CuisineMap::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cuisine-map.json")).unwrap()
}

#[test]
fn the_shipped_map_keeps_the_company_that_people_would_give_it() {
    let map = shipped();
    let shrunk = map.choice.n_linked / 10;
    assert!(map.n_clusters <= shrunk, "{} clusters of {} linked labels", map.n_clusters, map.choice.n_linked);
    assert_eq!(judge::choose(&map.choice.candidates), Some(map.n_clusters), "as its own evidence says");
    assert!(map.unknown.len() < map.labels.len() / 20, "the reviewed table is behind: {:?}", map.unknown);
    assert_eq!(map.vocabulary, Vocabulary::reviewed().unwrap(), "fitted with another table: fit it again");
    let alike = |a: &str, b: &str| {
        let b = map.id(b).unwrap();
        map.similarity[usize::from(map.id(a).unwrap())].iter().find(|(id, _)| *id == b).map_or(0.0, |(_, value)| *value)
    };
    let cluster = |label: &str| map.weights(map.id(label).unwrap())[0].0;
    for (a, b) in [("sushi", "japanese"), ("burger", "fries"), ("lebanese", "turkish"), ("taco", "mexican")] {
        assert_eq!(cluster(a), cluster(b), "{a} and {b}");
    }
    for (a, b) in [("sushi", "pizza"), ("vietnamese", "burger"), ("coffee_shop", "kebab")] {
        assert_ne!(cluster(a), cluster(b), "{a} and {b}");
        assert!(alike(a, b) < 0.5, "{a} and {b}: {}", alike(a, b));
    }
}
