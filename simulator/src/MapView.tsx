// Where the reader may be, and who could be shown there. Drawn here from what the page ships: no tiles are asked of anybody.

import { ActionIcon, Group, Text } from "@mantine/core";
import { geoMercator } from "d3-geo";
import { cellToBoundary } from "h3-js";
import { type KeyboardEvent, type PointerEvent, memo, useEffect, useMemo, useRef, useState } from "react";
import type { Area, Ground as Lines, Merchant, PlaceOf, Point, Scene } from "./engine.js";
import { REASONS, percent } from "./words.js";

const [WIDTH, HEIGHT] = [720, 520];
const KEPT = "#2f855a";
const SHOWN = "#3b5bdb";
/** One step of an arrow key, in the map's own units; with shift ten. */
const STEP = 4;

export interface MapProps {
  areas: Area[]; /** Cells that the open layer covers by itself, where it is not a whole place. */ covered: string[]; layer: string; merchants: Map<string, Merchant>; coast: GeoJSON.MultiPolygon; ground: Lines; scene: Scene | null; place: PlaceOf | null; evidence: Point; graded: { label: string; km: number };
  chosen: string | null; onMove: (point: Point, settled: boolean) => void; onChoose: (merchant: string) => void;
}

export function MapView({ areas, covered, layer, merchants, coast, ground, scene, place, evidence, graded, chosen, onMove, onChoose }: MapProps) {
  // A reader's likely places are seen with the merchants, whoever reads.
  const homes = JSON.stringify(place?.places.map(({ longitude, latitude }) => [longitude, latitude]) ?? []);
  const projection = useMemo(() => {
    // The merchants' middle half: a far-off cell or two would make the city small.
    const sorted = (of: number[]) => of.sort((a, b) => a - b);
    const [lons, lats] = [sorted([...merchants.values()].map(({ longitude }) => longitude)), sorted([...merchants.values()].map(({ latitude }) => latitude))];
    const at = (of: number[], share: number) => of[Math.floor(share * (of.length - 1))] ?? 0;
    const corners: GeoJSON.MultiPoint = { type: "MultiPoint", coordinates: [[at(lons, 0.02), at(lats, 0.02)], [at(lons, 0.98), at(lats, 0.98)], ...(JSON.parse(homes) as [number, number][]).filter(([lon, lat]) => Math.abs(lon - at(lons, 0.5)) < 0.2 && Math.abs(lat - at(lats, 0.5)) < 0.1)] };
    return geoMercator().fitExtent([[60, 50], [WIDTH - 60, HEIGHT - 50]], merchants.size > 1 ? corners : { type: "Point", coordinates: [24.94, 60.17] });
  }, [merchants, homes]);
  const [view, setView] = useState({ x: 0, y: 0, k: 1 });
  const svg = useRef<SVGSVGElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const drag = useRef<"reader" | { x: number; y: number; from: typeof view } | null>(null);

  const project = (point: Point) => projection([point.longitude, point.latitude]) ?? [0, 0];
  const km = useMemo(() => {
    const [lon, lat] = projection.invert?.([WIDTH / 2, HEIGHT / 2]) ?? [24.94, 60.17];
    const [, y] = projection([lon, lat]) ?? [0, 0];
    const [, north] = projection([lon, lat + 1 / 111.2]) ?? [0, 0];
    return Math.abs(y - north);
  }, [projection]);
  const spots = useMemo(() => [...merchants.values()].map((merchant) => ({ id: merchant.id, name: merchant.card?.name ?? merchant.id, xy: project(merchant) })), [merchants, projection]);

  /** Circles by the thousand go faster past React. */
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !canvas.current) return;
    const density = 2;
    canvas.current.width = WIDTH * density;
    canvas.current.height = HEIGHT * density;
    context.setTransform(density * view.k, 0, 0, density * view.k, density * view.x, density * view.y);
    const colors = new Map<string, string>();
    scene?.dropped.forEach(([id, code]) => colors.set(id, REASONS[code]?.color ?? "#a1a1aa"));
    scene?.kept.forEach(([id]) => colors.set(id, KEPT));
    const dot = (xy: number[], radius: number, fill: string, stroke?: string) => {
      context.beginPath();
      context.arc(xy[0], xy[1], radius / Math.sqrt(view.k), 0, 7);
      context.fillStyle = fill;
      context.fill();
      if (stroke) {
        context.strokeStyle = stroke;
        context.lineWidth = 1.6 / view.k;
        context.stroke();
      }
    };
    const shown = new Set(scene?.shown.filter(Boolean));
    context.globalAlpha = 0.75;
    for (const { id, xy } of spots) if (!colors.has(id)) dot(xy, 2, "#c3c7ce");
    for (const { id, xy } of spots) if (colors.has(id) && !shown.has(id)) dot(xy, colors.get(id) === KEPT ? 4 : 3.2, colors.get(id) as string);
    context.globalAlpha = 1;
    scene?.shown.forEach((id, i) => {
      const spot = spots.find((spot) => spot.id === id);
      if (!spot) return;
      dot(spot.xy, 10, SHOWN, "#fff");
      context.fillStyle = "#fff";
      context.font = `bold ${12 / Math.sqrt(view.k)}px system-ui`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(String(i + 1), spot.xy[0], spot.xy[1]);
    });
    const picked = spots.find(({ id }) => id === chosen);
    if (picked) {
      context.beginPath();
      context.arc(picked.xy[0], picked.xy[1], 14 / Math.sqrt(view.k), 0, 7);
      context.strokeStyle = "#e8590c";
      context.lineWidth = 3 / view.k;
      context.stroke();
    }
  }, [scene, spots, view, chosen]);

  const inView = (event: PointerEvent | WheelEvent): [number, number] => {
    const box = svg.current?.getBoundingClientRect();
    if (!box) return [0, 0];
    return [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
  };
  const onMap = (event: PointerEvent): [number, number] => {
    const [x, y] = inView(event);
    return [(x - view.x) / view.k, (y - view.y) / view.k];
  };
  const unproject = ([x, y]: [number, number]): Point | null => {
    const found = projection.invert?.([x, y]);
    return found ? { longitude: found[0], latitude: Math.max(-85, Math.min(85, found[1])) } : null;
  };
  const move = (event: PointerEvent) => {
    if (drag.current === "reader") {
      const point = unproject(onMap(event));
      if (point) onMove(point, false);
    } else if (drag.current) {
      const [x, y] = inView(event);
      const { from } = drag.current;
      setView({ ...from, x: from.x + x - drag.current.x, y: from.y + y - drag.current.y });
    }
  };
  const up = (event: PointerEvent) => {
    if (drag.current === "reader") onMove(evidence, true);
    else if (drag.current) {
      const [x, y] = inView(event);
      if (Math.hypot(x - drag.current.x, y - drag.current.y) < 4) {
        const at = onMap(event);
        const near = spots.map((spot) => ({ spot, far: Math.hypot(spot.xy[0] - at[0], spot.xy[1] - at[1]) })).sort((a, b) => a.far - b.far)[0];
        if (near && near.far * view.k < 14) onChoose(near.spot.id);
      }
    }
    drag.current = null;
  };
  const key = (event: KeyboardEvent) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by) return;
    event.preventDefault();
    const [x, y] = project(evidence);
    const step = (STEP * (event.shiftKey ? 10 : 1)) / view.k;
    const point = unproject([x + by[0] * step, y + by[1] * step]);
    if (point) onMove(point, true);
  };
  const zoom = (factor: number, [x, y]: [number, number] = [WIDTH / 2, HEIGHT / 2]) => setView((now) => {
    const k = Math.max(0.05, Math.min(16, now.k * factor));
    return { k, x: x - ((x - now.x) / now.k) * k, y: y - ((y - now.y) / now.k) * k };
  });
  useEffect(() => {
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, inView(event));
    };
    const at = svg.current;
    at?.addEventListener("wheel", wheel, { passive: false });
    return () => at?.removeEventListener("wheel", wheel);
  }, []);

  const [px, py] = project(evidence);
  const decided = place?.point ? project(place.point) : null;
  const reasons = useMemo(() => {
    const counts = new Map<string, number>();
    scene?.dropped.forEach(([, code]) => counts.set(code, (counts.get(code) ?? 0) + 1));
    return [...counts].sort((a, b) => b[1] - a[1]);
  }, [scene]);

  return (
    <figure className="map" aria-label="Map of the reader and the merchants">
      <div className="canvas">
        <svg ref={svg} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className="under" aria-hidden onPointerDown={(event) => { const [x, y] = inView(event); drag.current = { x, y, from: view }; event.currentTarget.setPointerCapture(event.pointerId); }} onPointerMove={move} onPointerUp={up}>
          <g transform={`translate(${view.x} ${view.y}) scale(${view.k})`}><Ground areas={areas} covered={covered} coast={coast} ground={ground} projection={projection} served={scene?.cell ?? null} /></g>
        </svg>
        <canvas ref={canvas} aria-hidden />
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className="over">
          <g transform={`translate(${view.x} ${view.y}) scale(${view.k})`}>
            {graded.km > 0 && <circle cx={px} cy={py} r={Math.max(6 / view.k, graded.km * km)} className="evidence" strokeWidth={1.5 / view.k} />}
            {place?.places.map((likely, i) => {
              const [x, y] = project(likely);
              return <g key={i} transform={`translate(${x} ${y}) scale(${1 / view.k})`}><title>{`Likely place ${i + 1}: ${percent(likely.after)}`}</title><path d="M0 -11 L10 -2 V9 H-10 V-2 Z" className="home" style={{ fillOpacity: 0.25 + 0.75 * likely.after }} /><text y={22} textAnchor="middle" className="label">{percent(likely.after)}</text></g>;
            })}
            {decided && <g transform={`translate(${decided[0]} ${decided[1]}) scale(${1 / view.k})`}><circle r={9 + 22 * (1 - (place?.certainty ?? 0))} className="decided" /><title>{`Decided: ${percent(place?.certainty ?? 0)} sure`}</title></g>}
            <g transform={`translate(${px} ${py}) scale(${1 / view.k})`} className="reader" tabIndex={0} role="button" aria-label={`The reader's position: ${evidence.latitude.toFixed(3)} north, ${evidence.longitude.toFixed(3)} east. Move it by arrow keys.`} data-testid="reader" onKeyDown={key}
              onPointerDown={(event) => { drag.current = "reader"; event.currentTarget.setPointerCapture(event.pointerId); }} onPointerMove={move} onPointerUp={up}>
              <circle r={16} className="touch" /><path d="M0 0 C-10 -12 -11 -17 -11 -20 A11 11 0 0 1 11 -20 C11 -17 10 -12 0 0 Z" /><circle cy={-20} r={4} fill="#fff" />
            </g>
          </g>
        </svg>
        <Group className="zoom" gap={4}>
          <ActionIcon variant="default" aria-label="Zoom in" onClick={() => zoom(1.5)}>+</ActionIcon>
          <ActionIcon variant="default" aria-label="Zoom out" onClick={() => zoom(1 / 1.5)}>−</ActionIcon>
          <ActionIcon variant="default" aria-label="The whole city" onClick={() => setView({ x: 0, y: 0, k: 1 })}>⌂</ActionIcon>
        </Group>
      </div>
      <figcaption>
        <ul className="legend">
          <li><i style={{ background: "#e8590c" }} />Where the position says</li>
          {homes !== "[]" && <li><i style={{ background: "#6741d9" }} />Likely places</li>}
          {covered.length > 0 && <li><i style={{ background: "#2a9d8f", borderRadius: 2 }} />Where {layer} holds</li>}
          <li><i style={{ background: "none", boxShadow: "inset 0 0 0 3px #3b5bdb" }} />Decided, wider where less sure</li>
          <li><i style={{ background: SHOWN }} />In the message ({scene?.shown.filter(Boolean).length ?? 0})</li>
          <li><i style={{ background: KEPT }} />Could be ({scene?.kept.length ?? 0})</li>
          {reasons.map(([code, n]) => <li key={code}><i style={{ background: REASONS[code]?.color ?? "#a1a1aa" }} />{REASONS[code]?.label ?? code} ({n})</li>)}
        </ul>
        <Text size="xs">Drag the pin, or focus it and use the arrow keys. Ctrl and the wheel zoom. Coastline: Natural Earth. Streets and merchants © OpenStreetMap contributors (ODbL). Readers are simulated.</Text>
      </figcaption>
    </figure>
  );
}

type Projection = ReturnType<typeof geoMercator>;

const Ground = memo(function Ground({ areas, covered, coast, ground, projection, served }: { areas: Area[]; covered: string[]; coast: GeoJSON.MultiPolygon; ground: Lines; projection: Projection; served: string | null }) {
  // Drawn point by point: d3's own path reads rings on a sphere, and these are wound for a plane.
  const land = useMemo(() => coast.coordinates.map((rings) => rings.map((ring) => `M${ring.map((point) => projection(point as [number, number])?.map((x) => x.toFixed(1)).join(" ")).join("L")}Z`).join("")).join(""), [coast, projection]);
  const lines = useMemo(() => Object.fromEntries(Object.entries(ground).map(([kind, all]) => [kind, all.map((line) => path(line, projection)).join("")])), [ground, projection]);
  const hex = (cell: string) => `M${cellToBoundary(cell).map(([lat, lon]) => projection([lon, lat])?.join(" ")).join("L")}Z`;
  const hexes = useMemo(() => areas.map(({ cell }) => ({ cell, d: hex(cell) })), [areas, projection]);
  const mine = useMemo(() => covered.map(hex).join(""), [covered, projection]);
  return (
    <>
      <rect x={-20000} y={-20000} width={40000} height={40000} className="sea" />
      <path d={land} className="land" />
      {["green", "water", "minor", "major", "rail", "coast"].map((kind) => <path key={kind} d={lines[kind]} className={kind} />)}
      {hexes.map(({ cell, d }) => <path key={cell} d={d} className={cell === served ? "hex served" : "hex"} />)}
      {mine && <path d={mine} className="mine" />}
    </>
  );
});

function path(line: number[], projection: Projection): string {
  let [lon, lat] = [0, 0];
  const points: string[] = [];
  for (let i = 0; i < line.length; i += 2) {
    lon += line[i];
    lat += line[i + 1];
    points.push(projection([lon / 1e5, lat / 1e5])?.map((x) => x.toFixed(1)).join(" ") ?? "");
  }
  return `M${points.join("L")}`;
}
